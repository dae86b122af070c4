//! The archive, built once for all tests of a file.

use std::path::PathBuf;
use std::sync::OnceLock;

use orc_rt_archive::{BuildRequest, build};

/// A directory for what the tests make.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The packed archive's bytes.
pub fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let request = BuildRequest {
            cargo: env!("CARGO").into(),
            workspace: concat!(env!("CARGO_MANIFEST_DIR"), "/../..").into(),
            target_dir: directory().join("orc-rt"),
            target: "x86_64-unknown-linux-gnu".to_owned(),
        };
        build(&request).unwrap_or_else(|error| panic!("{error}"))
    })
}
