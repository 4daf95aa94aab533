//! The measured speed as a text table and as JSON.

use std::fmt;

use super::Speed;

impl Speed {
    /// As JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "{} ({}), {} x {2} pixels, batch {}, {} on {}, {} runs\n",
            self.model,
            self.network,
            self.size,
            self.batch,
            plural(self.threads, "thread"),
            self.isa,
            self.runs,
        )?;
        writeln!(f, "              median       min")?;
        for (name, time) in [("CPU time", self.cpu_ms), ("wall clock", self.wall_ms)] {
            writeln!(f, "{name:10} {:9.3} {:9.3}  ms", time.median, time.min)?;
        }
        writeln!(f, "\n{:.1} crops per second", self.crops_per_second)?;
        writeln!(
            f,
            "{:.1} effective GFLOP/s, {:.0} % of the multiply-add peak ({:.1} GFLOP/s)",
            self.effective_gflops,
            100.0 * self.peak_share,
            self.peak_gflops,
        )?;
        let memory = |bytes: usize| bytes as f64 / 1e6;
        write!(
            f,
            "{:.1} MB of weights, {:.1} MB of activations and working memory",
            memory(self.weight_bytes),
            memory(self.arena_bytes),
        )?;
        if let Some(peak) = self.peak_bytes {
            write!(f, ", process peak {:.1} MB", peak as f64 / 1e6)?;
        }
        writeln!(f, "\n\nlayer        output          million MACs      ms   GFLOP/s   of peak")?;
        for layer in &self.layers {
            let [channels, height, width] = layer.shape;
            let shape = format!("{channels} x {height} x {width}");
            let macs = layer.macs as f64 / 1e6;
            write!(f, "{:12} {shape:15} {macs:12.2} {:7.3}", layer.name, layer.cpu_ms)?;
            match layer.macs {
                0 => writeln!(f)?,
                _ => writeln!(
                    f,
                    " {:9.1} {:7.0} %",
                    layer.effective_gflops,
                    100.0 * layer.peak_share
                )?,
            }
        }
        if !self.efficiency.is_empty() {
            writeln!(
                f,
                "\nnetwork              parameters  million MACs   MB file      ms  factor"
            )?;
        }
        for row in &self.efficiency {
            writeln!(
                f,
                "{:20} {:10} {:13.0} {:9.1} {:7.2} {:7.1}",
                row.network,
                row.params,
                row.macs as f64 / 1e6,
                row.disk_bytes as f64 / 1e6,
                row.cpu_ms,
                row.factor,
            )?;
        }
        Ok(())
    }
}

fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
