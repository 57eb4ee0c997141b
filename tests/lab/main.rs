//! Scenarios on a whole machine: systemd, D-Bus, polkit, PostgreSQL, nginx, ssh and git are the real ones.
//!
//! They need root, and boot machines with `scripts/lab`; `scripts/test` runs them, a single one is
//! `cargo nextest run --config-file packaging/nextest.toml --features lab --test lab NAME`.
//! What takes long and adds little to its neighbours is ignored, and run by `scripts/test --full`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[allow(dead_code, reason = "each test program uses some of it")]
#[path = "../support/forge.rs"]
mod forge;

mod harness {
    pub mod agent;
    pub mod load;
    pub mod machine;
    pub mod state;
    pub mod store;
    pub mod strike;
    pub mod verify;
    pub mod wait;
    pub mod writer;
}

mod scenarios {
    mod access;
    mod adopt;
    mod crash;
    mod drills;
    mod folders;
    mod gates;
    mod input;
    mod maintenance;
    mod notices;
    mod offsite;
    mod operator;
    mod package;
    mod plan;
    mod pooler;
    mod push;
    mod rehearsal;
    mod restore;
    mod slots;
    mod ssh;
    mod stop;
    mod variants;
}
