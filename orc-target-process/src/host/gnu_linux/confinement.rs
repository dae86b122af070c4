//! Rights that a process gives up for good: Landlock for files, a seccomp filter for sockets.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// The first version of Landlock that also guards `truncate` (Linux 6.2).
const LANDLOCK: ABI = ABI::V3;

/// Files that programs write to without changing anything that outlives them.
const HARMLESS: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];

/// Programs that are started from now on get no more rights than this process has
/// (`PR_SET_NO_NEW_PRIVS`).
pub(crate) fn give_up_new_privileges() -> io::Result<()> {
    let (yes, none): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: the operation takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on no file can be changed, made, moved or removed but what is `writable` or below that.
/// Descriptors that are open keep what they can.
pub(crate) fn guard_files(writable: &[PathBuf]) -> io::Result<()> {
    let mut rules = no_rules().map_err(|error| {
        let needs = format!("{error}; it needs Linux 6.2 or later with Landlock enabled");
        failed("--read-only", &needs)
    })?;
    for path in HARMLESS {
        if let Ok(file) = PathFd::new(path) {
            rules = allow(rules, file, AccessFs::WriteFile.into())?;
        }
    }
    for path in writable {
        let (file, rights) = open(path)
            .map_err(|error| failed(&format!("--writable {}", path.display()), &error))?;
        rules = allow(rules, file, rights)?;
    }
    let restricted = rules.restrict_self();
    restricted.map_err(|error| failed("--read-only", &error))?;
    Ok(())
}

/// Rules that allow no change of files.
fn no_rules() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(LANDLOCK))?
        .create()
}

/// Opens what is to be writable, with what can be allowed for its kind.
fn open(path: &Path) -> Result<(PathFd, BitFlags<AccessFs>), Box<dyn std::error::Error>> {
    let rights = match std::fs::metadata(path)?.is_dir() {
        true => AccessFs::from_write(LANDLOCK),
        false => AccessFs::from_write(LANDLOCK) & AccessFs::from_file(LANDLOCK),
    };
    Ok((PathFd::new(path)?, rights))
}

fn allow(
    rules: RulesetCreated,
    file: PathFd,
    rights: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    let added = rules.add_rule(PathBeneath::new(file, rights));
    added.map_err(|error| failed("--read-only", &error))
}

/// From now on, sockets of other families than Unix sockets are refused with `EACCES`.
pub(crate) fn refuse_network() -> io::Result<()> {
    let filter = unix_sockets_only().map_err(|error| failed("--no-network", &error))?;
    seccompiler::apply_filter(&filter).map_err(|error| failed("--no-network", &error))
}

fn unix_sockets_only() -> Result<BpfProgram, BackendError> {
    let family = libc::AF_UNIX as u64;
    let is_other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)?;
    let refused = BTreeMap::from([
        (libc::SYS_socket, vec![SeccompRule::new(vec![is_other])?]),
        // It makes sockets where no filter sees it.
        (libc::SYS_io_uring_setup, Vec::new()),
    ]);
    SeccompFilter::new(
        refused,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES as u32),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

fn failed(option: &str, error: &dyn Display) -> io::Error {
    io::Error::other(format!("{option}: {error}"))
}
