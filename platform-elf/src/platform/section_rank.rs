//! The order of output sections within one permission, as in GNU `ld`'s default script.
//!
//! Programs can tell: `etext` follows `.fini`, `edata` follows initialized data, and garbage
//! collectors scan from one section to another. What is not listed (an "orphan") goes where `ld`
//! puts it: behind the last section of its permission that has content, before what is zero.

/// Sections that lie before the orphans of their permission. Only sections of one permission are
/// ever compared, so one list holds all permissions.
const BEFORE_ORPHANS: &[&[u8]] = &[
    // Text.
    b".init",
    b".plt",
    b".plt.got",
    b".plt.sec",
    b".text",
    // Read only.
    b".interp",
    b".note.gnu.property",
    b".note.gnu.build-id",
    b".note.ABI-tag",
    b".rodata",
    b".rodata1",
    b".eh_frame_hdr",
    b".eh_frame",
    b".gnu_extab",
    b".gcc_except_table",
    // Read only after relocation.
    b".tdata",
    b".tbss",
    b".preinit_array",
    b".init_array",
    b".fini_array",
    b".ctors",
    b".dtors",
    b".jcr",
    b".data.rel.ro",
    b".dynamic",
    b".got",
    // Read and write.
    b".got.plt",
    b".data",
    b".data1",
    b".tm_clone_table",
];

/// Sections that lie after the orphans of their permission: large data keeps out of the way of
/// what 32-bit references must reach, and so does what is zero.
const AFTER_ORPHANS: &[&[u8]] = &[
    b".ltext",
    b".fini",
    b".lrodata",
    b".ldata",
    b".bss",
    b".lbss",
];

/// Rank of an output section: smaller lies lower.
pub(super) fn section_rank(output: &[u8]) -> u32 {
    let place = |list: &[&[u8]]| list.iter().position(|listed| *listed == output);
    let orphans = BEFORE_ORPHANS.len();
    let rank = match (place(BEFORE_ORPHANS), place(AFTER_ORPHANS)) {
        (Some(at), _) => at,
        (None, Some(at)) => orphans + 1 + at,
        (None, None) => orphans,
    };
    // The lists are a few dozen entries long.
    u32::try_from(rank).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_lie_between_content_and_zeros() {
        let sorted = |names: &[&str]| {
            names
                .windows(2)
                .all(|pair| section_rank(pair[0].as_bytes()) < section_rank(pair[1].as_bytes()))
        };
        assert!(sorted(&[".init", ".text", "my_text", ".fini"]));
        assert!(sorted(&[".rodata", ".eh_frame", "my_rodata", ".lrodata"]));
        assert!(sorted(&[
            ".init_array",
            ".fini_array",
            ".data.rel.ro",
            ".got"
        ]));
        assert!(sorted(&[".data", "my_list", ".ldata", ".bss", ".lbss"]));
    }
}
