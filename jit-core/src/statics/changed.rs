//! What to say when variables cannot be kept.

use std::fmt;

use super::StaticBlock;

/// A block that holds the same variables, differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangedBlock {
    /// As it is in memory.
    pub before: StaticBlock,
    /// As the new version has it.
    pub after: StaticBlock,
}

/// Why an object cannot replace the one that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticsChanged {
    /// The object.
    pub object: String,
    /// Blocks whose layout has changed.
    pub blocks: Vec<ChangedBlock>,
    /// New variables that the object's initializers would set up, together with those that are in use.
    pub initialized: Vec<String>,
}

impl fmt::Display for StaticsChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot replace the version that runs: variables keep their values, ",
            self.object
        )?;
        if self.blocks.is_empty() {
            write!(
                f,
                "and new ones need initializers to run, which would initialize those too: {}",
                self.initialized.join(", ")
            )?;
            return write!(f, "; give them constant values, or start the program anew");
        }
        f.write_str("and their layout has changed")?;
        for changed in &self.blocks {
            changed.describe(f)?;
        }
        let several = |block: &StaticBlock| block.variables.len() > 1;
        let any = |changed: &ChangedBlock| several(&changed.before) || several(&changed.after);
        if self.blocks.iter().any(any) {
            f.write_str(
                "\n  compile with -fdata-sections, so that each variable stands for itself",
            )?;
        }
        f.write_str("\n  or start the program anew")
    }
}

impl ChangedBlock {
    /// Names the variables that differ, with both layouts.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (&self.before, &self.after);
        if before.is_thread_local != after.is_thread_local {
            let kind = |block: &StaticBlock| match block.is_thread_local {
                true => "one for each thread",
                false => "one for all threads",
            };
            let name = before.variables.first().map_or("", |it| &it.name);
            return write!(f, "\n  {name}: was {}, is {}", kind(before), kind(after));
        }
        for old in &before.variables {
            let new = after.variables.iter().find(|new| new.name == old.name);
            match new {
                Some(new) if (new.offset, new.size) == (old.offset, old.size) => {}
                Some(new) => write!(
                    f,
                    "\n  {}: was {} bytes at {}+{:#x}, is {} bytes at {}+{:#x}",
                    old.name,
                    old.size,
                    before.section,
                    old.offset,
                    new.size,
                    after.section,
                    new.offset
                )?,
                None => write!(
                    f,
                    "\n  {}: was {} bytes at {}+{:#x}, is no more",
                    old.name, old.size, before.section, old.offset
                )?,
            }
        }
        for new in &after.variables {
            if !before.variables.iter().any(|old| old.name == new.name) {
                write!(
                    f,
                    "\n  {}: is new, {} bytes at {}+{:#x}",
                    new.name, new.size, after.section, new.offset
                )?;
            }
        }
        if before.size != after.size {
            write!(
                f,
                "\n  {}: was {} bytes, is {} bytes",
                before.section, before.size, after.size
            )?;
        }
        Ok(())
    }
}
