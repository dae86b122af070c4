//! How to unwind from stubs and trampolines: a CIE, and FDEs for the two tables.
//!
//! A stub or a trampoline is never a caller: what they lead to returns to whoever called the stub. But a
//! signal may come in any of them, a debugger may stop there, and a profiler does so all the time. Without
//! frames an unwinder would take the stack to end there.

use super::object::{STUBS, TRAMPOLINES};
use crate::cpu::{Cpu, FrameRules, Stub};
use crate::graph::{BlockId, Edge, Frame, SymbolId};

/// Trampolines of one FDE, where the rules differ within each: an unwinder goes through those of all that come
/// before the one that it asks for.
const TRAMPOLINES_PER_FRAME: u32 = 64;

/// Offset of the code's address in an FDE: behind its length and its distance from the CIE.
const CODE_ADDRESS: u32 = 8;

/// An `.eh_frame` in the making.
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// Of the section's block.
    pub(super) edges: Vec<Edge>,
    /// Of the tables.
    pub(super) frames: Vec<Frame>,
    /// How many of these are the stubs'.
    pub(super) of_stubs: u32,
}

/// Where the tables and their frames are in a graph.
pub(super) struct Places {
    /// The block of frames.
    pub(super) block: BlockId,
    /// Its first edge.
    pub(super) first_edge: u32,
    /// The start of all stubs.
    pub(super) stubs: SymbolId,
    /// The start of all trampolines.
    pub(super) trampolines: SymbolId,
}

impl Frames {
    /// The frames of so many stubs and trampolines.
    pub(super) fn new<C: Cpu>(count: u32, places: &Places) -> Self {
        let rules = C::FRAMES;
        let mut made = Self {
            bytes: cie(&rules),
            edges: Vec::new(),
            frames: Vec::new(),
            of_stubs: 0,
        };
        let size = |stub: Stub| stub.code.len() as u32;
        if count == 0 {
            return made;
        }
        let stubs = (STUBS, places.stubs, 0, count * size(C::STUB));
        made.add(&rules, places, stubs, &[]);
        made.of_stubs = made.frames.len() as u32;
        let most = match rules.trampoline.is_empty() {
            true => count,
            false => TRAMPOLINES_PER_FRAME,
        };
        for first in (0..count).step_by(most as usize) {
            let some = most.min(count - first);
            let [offset, length] = [first, some].map(|number| number * size(C::TRAMPOLINE));
            let table = (TRAMPOLINES, places.trampolines, offset, length);
            let program = rules.trampoline.repeat(some as usize);
            made.add(&rules, places, table, &program);
        }
        made
    }

    /// Adds an FDE for a part of a table: the table's block and start, the part's offset and size in bytes.
    fn add(
        &mut self,
        rules: &FrameRules,
        places: &Places,
        (code, start, offset, size): (BlockId, SymbolId, u32, u32),
        program: &[u8],
    ) {
        let fde = self.bytes.len() as u32;
        // The CIE is at the start, and the distance counts from its own field.
        let mut body = (fde + 4).to_le_bytes().to_vec();
        body.extend([0; 4]); // the address of the code, an edge
        body.extend(size.to_le_bytes());
        body.push(0); // no augmentation data
        body.extend(program);
        self.bytes.extend(record(body));
        let edge = places.first_edge + self.edges.len() as u32;
        self.edges.push(Edge {
            offset: fde + CODE_ADDRESS,
            target: start,
            addend: offset.into(),
            kind: rules.distance,
        });
        self.frames.push(Frame {
            block: places.block,
            offset: fde,
            length: self.bytes.len() as u32 - fde,
            edges: (edge, edge + 1),
            code,
            code_offset: offset.into(),
        });
    }
}

/// What all FDEs have in common.
fn cie(rules: &FrameRules) -> Vec<u8> {
    let mut body = vec![0; 4]; // not an FDE
    body.push(1); // version
    body.extend(b"zR\0");
    body.push(rules.code_align);
    body.push(0x78); // data alignment, -8
    body.push(rules.return_address);
    body.push(1); // size of the augmentation data
    body.push(0x1b); // addresses are distances of 32 bits (DW_EH_PE_pcrel | DW_EH_PE_sdata4)
    body.extend(rules.entry);
    record(body)
}

/// A record with its length, filled up with instructions that do nothing (DW_CFA_nop).
fn record(mut body: Vec<u8>) -> Vec<u8> {
    /// Of records, with their lengths.
    const ALIGN: usize = 8;
    body.resize((4 + body.len()).next_multiple_of(ALIGN) - 4, 0);
    let length = body.len() as u32;
    [length.to_le_bytes().to_vec(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::aarch64::Aarch64;
    use crate::cpu::x86_64::X86_64;

    /// Where a function's frame is: register and offset of the CFA, and which registers are saved at which distance
    /// below it.
    #[derive(Clone, PartialEq, Eq, Debug, Default)]
    struct Row {
        cfa: (u8, u8),
        saved: Vec<(u8, u8)>,
    }

    /// The row at an offset of the code that a program describes.
    fn row_at(rules: &FrameRules, program: &[u8], offset: u32) -> Row {
        let (mut row, mut at) = (Row::default(), 0);
        let mut bytes = rules.entry.iter().chain(program).copied();
        while let Some(operation) = bytes.next() {
            let mut operand = || bytes.next().unwrap();
            let register = operation & 0x3f;
            match operation & 0xc0 {
                0x40 => {
                    at += u32::from(register) * u32::from(rules.code_align);
                    if at > offset {
                        return row;
                    }
                }
                0x80 => row.saved.push((register, 8 * operand())),
                0xc0 => row.saved.retain(|(saved, _)| *saved != register),
                _ => match operation {
                    0 => {}
                    0x0c => row.cfa = (operand(), operand()),
                    0x0e => row.cfa.1 = operand(),
                    other => panic!("{other:#x}"),
                },
            }
        }
        row
    }

    fn u32_at(bytes: &[u8], at: u32) -> u32 {
        let at = at as usize;
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// Checks that each byte of the tables has a frame, and returns the row of each piece of them.
    fn rows<C: Cpu>(count: u32, step: u32) -> [Vec<Row>; 2] {
        let places = Places {
            block: BlockId(3),
            first_edge: 7,
            stubs: SymbolId(1),
            trampolines: SymbolId(2),
        };
        let made = Frames::new::<C>(count, &places);
        assert_eq!(made.bytes.len() % 8, 0);
        let mut of_tables = [Vec::new(), Vec::new()];
        let mut next = u32_at(&made.bytes, 0) + 4;
        for (number, frame) in made.frames.iter().enumerate() {
            assert_eq!(frame.offset, next);
            assert_eq!(u32_at(&made.bytes, next) + 4, frame.length);
            next += frame.length;
            assert_eq!(u32_at(&made.bytes, frame.offset + 4), frame.offset + 4);
            let edge = made.edges[number];
            assert_eq!(frame.edges, (number as u32 + 7, number as u32 + 8));
            assert_eq!(edge.offset, frame.offset + 8);
            assert_eq!({ edge.addend }, frame.code_offset as i64);
            assert_eq!(
                edge.target,
                [SymbolId(1), SymbolId(2)][frame.code.0 as usize]
            );
            assert_eq!(frame.code == STUBS, (number as u32) < made.of_stubs);
            let rows = &mut of_tables[frame.code.0 as usize];
            let described = u64::from(step) * rows.len() as u64;
            assert_eq!(frame.code_offset, described);
            let program = &made.bytes[frame.offset as usize + 17..next as usize];
            let size = u32_at(&made.bytes, frame.offset + 12);
            let offsets = (0..size).step_by(step as usize);
            rows.extend(offsets.map(|offset| row_at(&C::FRAMES, program, offset)));
        }
        assert_eq!(next as usize, made.bytes.len());
        let size = |stub: Stub| count as usize * stub.code.len();
        let sizes = of_tables.each_ref().map(|rows| rows.len() * step as usize);
        assert_eq!(sizes, [size(C::STUB), size(C::TRAMPOLINE)]);
        of_tables
    }

    fn row(cfa: (u8, u8), saved: &[(u8, u8)]) -> Row {
        Row {
            cfa,
            saved: saved.to_vec(),
        }
    }

    #[test]
    fn every_byte_of_stubs_and_trampolines_has_the_frame_of_the_caller() {
        const RSP: u8 = 7;
        const RIP: u8 = 16;
        let caller = row((RSP, 8), &[(RIP, 8)]);
        for row in rows::<X86_64>(1000, 1).concat() {
            assert_eq!(row, caller);
        }
    }

    #[test]
    fn the_second_instruction_of_a_trampoline_has_the_callers_registers_on_the_stack() {
        const SP: u8 = 31;
        for count in [1, 63, 64, 65, 1000] {
            let [stubs, trampolines] = rows::<Aarch64>(count, 4);
            assert!(stubs.iter().all(|at| *at == row((SP, 0), &[])));
            for pair in trampolines.chunks(2) {
                assert_eq!(pair[0], row((SP, 0), &[]));
                assert_eq!(pair[1], row((SP, 16), &[(29, 16), (30, 8)]));
            }
        }
    }

    #[test]
    fn no_stubs_have_no_frames() {
        let places = Places {
            block: BlockId(3),
            first_edge: 0,
            stubs: SymbolId(0),
            trampolines: SymbolId(0),
        };
        assert!(Frames::new::<X86_64>(0, &places).frames.is_empty());
    }
}
