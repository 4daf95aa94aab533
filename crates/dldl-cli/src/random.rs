//! The paper's networks with random weights, for speed measurements: `random-thin` and
//! `random-tiny`.

use anyhow::Result;
use dldl::Weights;
use dldl_net::NetSpec;

/// The network called `thin` or `tiny`, with or without `random-`.
pub fn net(name: &str) -> Option<NetSpec> {
    match name.trim_start_matches("random-") {
        "thin" | "thin-age" => Some(NetSpec::thin_age(101)),
        "tiny" | "tiny-age" => Some(NetSpec::tiny_age(101)),
        _ => None,
    }
}

/// Random weights, if `name` is `random-thin` or `random-tiny`.
pub fn weights(name: &str) -> Result<Option<Weights>> {
    let net = match name {
        "random-thin" => NetSpec::thin_age(101),
        "random-tiny" => NetSpec::tiny_age(101),
        _ => return Ok(None),
    };
    Ok(Some(Weights::random(name, net)?))
}
