//! The networks of the paper with weights that mean nothing, for those who
//! measure speed: `random-thin` and `random-tiny`.

use anyhow::Result;
use dldl::{NetSpec, Weights};

/// The weights of that name, if it is one of the two.
pub fn weights(name: &str) -> Result<Option<Weights>> {
    let net = match name {
        "random-thin" => NetSpec::thin_age(101),
        "random-tiny" => NetSpec::tiny_age(101),
        _ => return Ok(None),
    };
    Ok(Some(Weights::random(name, net)?))
}
