//! Who may use the service: everybody, or holders of a token.

use std::fmt;
use std::io;
use std::path::Path;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::{Choice, ConstantTimeEq};

/// Who may use the service.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody on this machine: only its loopback addresses are listened on.
    Local,
    /// Everybody who can connect.
    Anonymous,
    /// Requests with `Authorization: Bearer TOKEN`.
    Tokens(Tokens),
}

/// The accepted tokens. Their values are not printed by [`Debug`].
#[derive(Clone)]
pub struct Tokens(Vec<Vec<u8>>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

impl Tokens {
    /// The tokens in a file, one per line; empty lines and those that begin with `#` are
    /// skipped.
    ///
    /// # Errors
    /// If the file cannot be read, or has no token, or one that no header can hold.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    fn parse(text: &str) -> io::Result<Self> {
        let refuse = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        let mut tokens = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let token = line.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            if !token.bytes().all(|b| b.is_ascii_graphic()) {
                let line = number + 1;
                return refuse(format!("line {line}: a token has ASCII characters, no spaces"));
            }
            tokens.push(token.as_bytes().to_vec());
        }
        if tokens.is_empty() {
            return refuse("no token in it: expected one per line".into());
        }
        Ok(Self(tokens))
    }

    /// Whether the token is one of these. The time does not depend on where they differ.
    fn contains(&self, token: &[u8]) -> bool {
        let none = Choice::from(0);
        self.0.iter().fold(none, |any, known| any | known.ct_eq(token)).into()
    }
}

impl Access {
    /// Whether a request with these headers may proceed.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> bool {
        let Self::Tokens(tokens) = self else { return true };
        let Some(value) = headers.get(AUTHORIZATION) else { return false };
        let (scheme, token) = value.as_bytes().split_at(value.len().min(7));
        scheme.eq_ignore_ascii_case(b"bearer ") && tokens.contains(token.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_tokens_is_required() {
        let tokens = Tokens::parse("# for the shop\nfirst-token\n\n  second \n").unwrap();
        assert_eq!(format!("{tokens:?}"), "Tokens(2)");
        let access = Access::Tokens(tokens);
        let allowed = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            access.allows(&headers)
        };
        for right in ["Bearer first-token", "bearer second", "BEARER  second "] {
            assert!(allowed(right), "{right}");
        }
        for wrong in ["Bearer first", "Bearer first-token2", "first-token", "Basic second", "", "B"]
        {
            assert!(!allowed(wrong), "{wrong}");
        }
        assert!(!access.allows(&HeaderMap::new()));
        assert!(Access::Anonymous.allows(&HeaderMap::new()));
        assert!(Access::Local.allows(&HeaderMap::new()));
    }

    #[test]
    fn files_without_a_usable_token_are_refused() {
        for (text, part) in [("", "no token"), ("# a\n \n", "no token"), ("a\nb c\n", "line 2")] {
            let error = Tokens::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
