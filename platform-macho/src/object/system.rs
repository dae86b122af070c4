//! Which of Apple's systems an object is for, as its load commands say. Those before macOS 10.14 have a command per
//! system, later ones a command with a number; objects of assemblers may have none.

use object::LittleEndian as LE;
use object::macho::{self, Platform};
use object::read::Error;
use object::read::macho::LoadCommandData;

/// The systems that an object names.
#[derive(Default)]
pub(super) struct Platforms(Vec<Platform>);

impl Platforms {
    /// Notes what a command says.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn add(&mut self, command: &LoadCommandData<'_, LE>) -> Result<(), Error> {
        let named = match command.cmd() {
            macho::LC_VERSION_MIN_MACOSX => Some(macho::PLATFORM_MACOS),
            macho::LC_VERSION_MIN_IPHONEOS => Some(macho::PLATFORM_IOS),
            macho::LC_VERSION_MIN_TVOS => Some(macho::PLATFORM_TVOS),
            macho::LC_VERSION_MIN_WATCHOS => Some(macho::PLATFORM_WATCHOS),
            _ => (*command)
                .build_version(LE)?
                .map(|(version, _)| version.platform.get(LE)),
        };
        self.0.extend(named);
        Ok(())
    }

    /// Refuses an object that is for other systems than macOS alone.
    ///
    /// # Errors
    /// With their names.
    pub fn check(&self) -> Result<(), String> {
        let is_fine = |platform: &Platform| {
            [macho::PLATFORM_MACOS, macho::PLATFORM_UNKNOWN].contains(platform)
        };
        if self.0.is_empty() || self.0.iter().any(is_fine) {
            return Ok(());
        }
        let mut names: Vec<String> = self.0.iter().map(|it| name_of(*it)).collect();
        names.dedup();
        Err(format!(
            "is an object for {}, which is not macOS: compile for macOS (-target x86_64-apple-macos)",
            orc_shared::listed(&names, ", ", NAMED_MAX)
        ))
    }
}

/// Systems that a message names.
const NAMED_MAX: usize = 10;

fn name_of(platform: Platform) -> String {
    let known = NAMES.iter().find(|(number, _)| *number == platform);
    match known {
        Some((_, name)) => (*name).to_owned(),
        None => format!("system {} of Apple", platform.0),
    }
}

const NAMES: &[(Platform, &str)] = &[
    (macho::PLATFORM_IOS, "iOS"),
    (macho::PLATFORM_TVOS, "tvOS"),
    (macho::PLATFORM_WATCHOS, "watchOS"),
    (macho::PLATFORM_BRIDGEOS, "bridgeOS"),
    (macho::PLATFORM_MACCATALYST, "Mac Catalyst"),
    (macho::PLATFORM_IOSSIMULATOR, "the simulator of iOS"),
    (macho::PLATFORM_TVOSSIMULATOR, "the simulator of tvOS"),
    (macho::PLATFORM_WATCHOSSIMULATOR, "the simulator of watchOS"),
    (macho::PLATFORM_DRIVERKIT, "DriverKit"),
    (macho::PLATFORM_VISIONOS, "visionOS"),
    (
        macho::PLATFORM_VISIONOSSIMULATOR,
        "the simulator of visionOS",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn error(platforms: &[Platform]) -> Option<String> {
        Platforms(platforms.to_vec()).check().err()
    }

    #[test]
    fn objects_for_macos_are_linked_and_others_refused_by_name() {
        assert_eq!(error(&[]), None, "an assembler's");
        assert_eq!(error(&[macho::PLATFORM_MACOS]), None);
        let zippered = [macho::PLATFORM_MACOS, macho::PLATFORM_MACCATALYST];
        assert_eq!(error(&zippered), None, "for both");
        let said = error(&[macho::PLATFORM_IOS]).expect("refused");
        assert!(
            said.starts_with("is an object for iOS, which is not macOS: "),
            "{said}"
        );
        let said = error(&[Platform(77)]).expect("refused");
        assert!(
            said.starts_with("is an object for system 77 of Apple"),
            "{said}"
        );
    }
}
