//! `dldl generate`: manual pages, shell completions, and the schema of the output.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Command, ValueEnum};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::outcome::{Outcome, UsageError};
use crate::printing::{print, write_file};

/// Generate manual pages, shell completions or the output's JSON Schema
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to generate
    #[arg(value_enum)]
    what: What,

    /// With `man`: write a page for each command into this folder, created if missing
    /// [default: the page of `dldl` to stdout]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Manual pages (roff)
    Man,
    /// Completions for Bash
    Bash,
    /// Completions for Zsh
    Zsh,
    /// Completions for fish
    Fish,
    /// Completions for PowerShell
    Powershell,
    /// JSON Schema of the records that `dldl estimate` prints
    Schema,
}

const EXAMPLES: &str = "\
Examples:
  dldl generate man | man -l -
  dldl generate man --out ~/.local/share/man/man1
  dldl generate bash > ~/.local/share/bash-completion/completions/dldl
  dldl generate zsh > ~/.zfunc/_dldl                        # a folder of $fpath
  dldl generate fish > ~/.config/fish/completions/dldl.fish
  dldl generate powershell >> $PROFILE                      # in PowerShell
  dldl generate schema > face-record.schema.json";

/// `command` is the whole command line.
pub fn run(args: Args, mut command: Command) -> Result<Outcome> {
    let shell = match args.what {
        What::Man => return man(command, args.out.as_deref()),
        _ if args.out.is_some() => return Err(UsageError::OutWithoutMan.into()),
        What::Bash => Shell::Bash,
        What::Zsh => Shell::Zsh,
        What::Fish => Shell::Fish,
        What::Powershell => Shell::PowerShell,
        What::Schema => {
            print(dldl::record_schema())?;
            return Ok(Outcome::Complete);
        }
    };
    let mut script = Vec::new();
    generate(shell, &mut command, "dldl", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(Outcome::Complete)
}

fn man(command: Command, out: Option<&Path>) -> Result<Outcome> {
    // Pages are for the commands; `dldl help` needs none.
    let mut command = command.disable_help_subcommand(true);
    // Gives the subcommands their full names: `dldl-estimate`.
    command.build();
    match out {
        None => print(&String::from_utf8(page(&command)?)?)?,
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .map_err(|source| UsageError::CreateFolder { path: dir.to_owned(), source })?;
            write_pages(&command, dir)?;
        }
    }
    Ok(Outcome::Complete)
}

/// Writes the pages of a command and of all below it.
fn write_pages(command: &Command, dir: &Path) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    write_file(&dir.join(format!("{name}.1")), &page(command)?)?;
    command.get_subcommands().try_for_each(|subcommand| write_pages(subcommand, dir))
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
