//! Learning label distributions with Burn.
