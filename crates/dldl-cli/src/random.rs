//! The networks of the paper with weights that mean nothing, for those who
//! measure speed: `random-thin` and `random-tiny`.

use anyhow::Result;
use dldl::{NetSpec, Weights};

/// The network of that name: `thin`, `tiny`, or one of the two with `random-`.
pub fn net(name: &str) -> Option<NetSpec> {
    match name.trim_start_matches("random-") {
        "thin" | "thin-age" => Some(NetSpec::thin_age(101)),
        "tiny" | "tiny-age" => Some(NetSpec::tiny_age(101)),
        _ => None,
    }
}

/// The weights of that name, if it is one of the two.
pub fn weights(name: &str) -> Result<Option<Weights>> {
    let net = match name {
        "random-thin" => NetSpec::thin_age(101),
        "random-tiny" => NetSpec::tiny_age(101),
        _ => return Ok(None),
    };
    Ok(Some(Weights::random(name, net)?))
}
