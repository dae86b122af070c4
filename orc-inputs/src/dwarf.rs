//! Files and lines from DWARF debug information, versions 2 to 5.
//!
//! Whoever reads a format finds the sections: a relocatable object's are moved to where its code lies first; a
//! library's are used as they are. Split DWARF (`-gsplit-dwarf`) keeps lines in the object, which are
//! used; the names of inlined functions are in files of their own, which are not read.

use std::sync::Arc;

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, LittleEndian};
use jit_core::symbolize::{SourceFrame, SourceLines};

type Bytes = EndianArcSlice<LittleEndian>;

/// Debug information of one object or library.
struct DwarfLines(Context<Bytes>);

/// Makes debug information of its sections; `section` gives each by its name, as in ".debug_line".
///
/// # Errors
/// When it is damaged so much that nothing of it can be used.
pub fn read(
    mut section: impl FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Option<Box<dyn SourceLines>>, String> {
    let load = |id: gimli::SectionId| -> Result<Bytes, gimli::Error> {
        let bytes: Arc<[u8]> = section(id.name()).unwrap_or_default().into();
        Ok(EndianArcSlice::new(bytes, LittleEndian))
    };
    let dwarf = Dwarf::load(load).map_err(|error| error.to_string())?;
    let context = Context::from_dwarf(dwarf).map_err(|error| error.to_string())?;
    Ok(Some(Box::new(DwarfLines(context))))
}

impl SourceLines for DwarfLines {
    fn frames(&self, addr: u64) -> Vec<SourceFrame> {
        let mut found = Vec::new();
        // What is damaged ends the list; what was read before it is good.
        let Ok(mut frames) = self.0.find_frames(addr).skip_all_loads() else {
            return found;
        };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.as_ref().and_then(|f| f.raw_name().ok());
            let location = frame.location.as_ref();
            let known = |number: Option<u32>| number.filter(|&number| number > 0);
            found.push(SourceFrame {
                function: function.map(|name| name.into_owned()),
                file: location.and_then(|l| l.file).map(str::to_owned),
                line: location.and_then(|l| known(l.line)),
                column: location.and_then(|l| known(l.column)),
            });
        }
        found
    }
}
