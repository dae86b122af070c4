//! Whether an executor sees the same files as this process.

use std::fs;

use orc_shared::remote::Setup;
use orc_shared::remote::services::values;
use orc_shared::sps;

/// Whether the executor runs on the same kernel and sees the same files.
pub(super) fn is_same(setup: &Setup) -> bool {
    let text = |wanted: &str| {
        let named = setup.values.iter().find(|(name, _)| name == wanted);
        named.and_then(|(_, bytes)| sps::decode::<String>(bytes).ok())
    };
    let own_boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let own_boot_id = own_boot_id.map(|text| text.trim().to_owned()).ok();
    // Containers share a kernel and have files of their own.
    let own_mounts = fs::read_link("/proc/self/ns/mnt");
    let own_mounts = own_mounts.map(|link| link.display().to_string()).ok();
    let same = |own: Option<String>, name| own.is_some() && own == text(name);
    same(own_boot_id, values::BOOT_ID) && same(own_mounts, values::MOUNTS)
}
