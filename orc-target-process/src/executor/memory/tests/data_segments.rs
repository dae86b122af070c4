//! What somebody who looks for data through the loader finds in a range.

use std::ops::Range;

use orc_shared::api::{RangeId, SegmentKind};

use super::code::*;
use crate::executor::memory::{Config, Finalized, MemoryManager};
use crate::host::loader::loaded_objects;
use crate::host::range::image::SPARE_HEADERS;

/// The writable segments of the loaded object that `addr` lies in, but for the last, which is not
/// the range's but the image's.
fn data_segments(addr: u64) -> Vec<Range<u64>> {
    let object = loaded_objects()
        .into_iter()
        .find(|object| object.range().contains(&addr))
        .expect("the loader knows the range");
    let end = object.range().end;
    object
        .headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0)
        .map(|header| object.segment(header))
        .filter(|segment| segment.end != end)
        .collect()
}

/// Text in pages of its own and data of these sizes, and their places.
fn link(
    manager: &MemoryManager,
    range: RangeId,
    (code, data): (usize, usize),
) -> (Finalized, [Range<u64>; 2]) {
    let requests = [text(code), segment(SegmentKind::ReadWrite, 8, data)];
    let finalized = allocate(manager, range, &requests)
        .finalize(Vec::new(), None)
        .unwrap();
    let place = |index: usize| {
        let range = finalized.ranges()[index];
        range.start.value()..range.end.value()
    };
    let places = [place(0), place(1)];
    (finalized, places)
}

fn covers(segments: &[Range<u64>], place: &Range<u64>) -> bool {
    segments
        .iter()
        .any(|segment| segment.start <= place.start && place.end <= segment.end)
}

fn touches(segments: &[Range<u64>], place: &Range<u64>) -> bool {
    segments
        .iter()
        .any(|segment| segment.start < place.end && place.start < segment.end)
}

#[test]
fn all_data_and_no_code_is_in_writable_segments() {
    let (manager, range) = manager(small_config());
    let linked: Vec<_> = (0..SPARE_HEADERS)
        .map(|_| link(&manager, range, (70 << 10, 600 << 10)))
        .collect();
    let segments = data_segments(linked[0].1[1].start);
    assert!(segments.len() > 1, "{segments:x?}");
    for (_, [text, data]) in &linked {
        assert!(covers(&segments, data), "{data:x?} is not in {segments:x?}");
        assert!(!touches(&segments, text), "{text:x?} is in {segments:x?}");
    }
}

#[test]
fn the_last_header_covers_what_has_none_of_its_own() {
    let (manager, range) = manager(Config::default());
    let mut size = 300 << 10;
    let linked: Vec<_> = (0..3 * SPARE_HEADERS)
        .map(|_| {
            let one = link(&manager, range, (70 << 10, size));
            // More than the stripe takes ahead of need: each makes a piece.
            size = (size * 3 / 2).min(17 << 20);
            one
        })
        .collect();
    let segments = data_segments(linked[0].1[1].start);
    assert_eq!(segments.len(), SPARE_HEADERS);
    for (_, [_, data]) in &linked {
        assert!(covers(&segments, data), "{data:x?} is not in {segments:x?}");
    }
}

#[test]
fn a_range_that_starts_over_has_no_data() {
    let (manager, range) = manager(small_config());
    let (first, [_, data]) = link(&manager, range, (70 << 10, 55 << 20));
    assert!(covers(&data_segments(data.start), &data));
    first.release().unwrap();
    // Does not fit behind the first.
    let (_second, [text, small]) = link(&manager, range, (10 << 20, 8));
    let segments = data_segments(small.start);
    assert!(covers(&segments, &small) && !touches(&segments, &text));
}
