//! What the writer of a missing name may have meant: names that look like it.

use crate::error::missing::MissingSymbol;

/// Missing symbols that get suggestions.
const SUGGESTED_FOR_MAX: usize = 20;
/// Suggestions per missing symbol.
const SUGGESTIONS_MAX: usize = 3;
/// Byte pairs of names that are compared at most: suggestions are not worth a pause.
const COMPARED_BYTES_MAX: usize = 20_000_000;

/// Adds to missing symbols what their writer may have meant.
pub(in crate::session) fn add_suggestions(
    symbols: &mut [MissingSymbol],
    candidates: &[(Vec<u8>, String)],
) {
    let names: Vec<_> = candidates
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name))
        .collect();
    let mut budget = COMPARED_BYTES_MAX;
    for symbol in symbols.iter_mut().take(SUGGESTED_FOR_MAX) {
        let missing = String::from_utf8_lossy(&symbol.name).into_owned();
        let function = function_part(&symbol.name);
        let far = match missing.len() {
            0..=3 => 1,
            4..=7 => 2,
            _ => 3,
        };
        let mut near = Vec::new();
        for (name, (raw, owner)) in names.iter().zip(candidates) {
            if *name == missing {
                continue;
            }
            let same_function = function.is_some_and(|part| raw.starts_with(part));
            if name.len().abs_diff(missing.len()) >= far && !same_function {
                continue;
            }
            let Some(left) = budget.checked_sub(name.len() * missing.len()) else {
                return;
            };
            budget = left;
            let distance = strsim::osa_distance(name, &missing);
            if distance < far || same_function {
                near.push((distance, raw, owner));
            }
        }
        near.sort();
        let best = near.into_iter().take(SUGGESTIONS_MAX);
        symbol.suggestions = best
            .map(|(_, name, owner)| (name.clone(), owner.clone()))
            .collect();
    }
}

/// What names must look like to be worth comparing with missing ones.
pub(in crate::session) struct Similar {
    lengths: [bool; 256],
    functions: Vec<Vec<u8>>,
}

impl Similar {
    pub(in crate::session) fn to(symbols: &[MissingSymbol]) -> Self {
        let mut similar = Self {
            lengths: [false; 256],
            functions: Vec::new(),
        };
        for symbol in symbols.iter().take(SUGGESTED_FOR_MAX) {
            let length = symbol.name.len();
            for near in length.saturating_sub(2)..=length + 2 {
                if let Some(wanted) = similar.lengths.get_mut(near) {
                    *wanted = true;
                }
            }
            let function = function_part(&symbol.name);
            similar.functions.extend(function.map(<[u8]>::to_vec));
        }
        similar
    }

    pub(in crate::session) fn may_be_meant(&self, name: &[u8]) -> bool {
        let length = self.lengths.get(name.len()).copied().unwrap_or(false);
        length || self.functions.iter().any(|part| name.starts_with(part))
    }
}

/// The part of a C++ function's mangled name before its parameters, as far as it is a plain, possibly
/// qualified name: functions that share it differ in their parameters only.
fn function_part(name: &[u8]) -> Option<&[u8]> {
    let nested = name.starts_with(b"_ZN");
    let mut at = if nested { 3 } else { 2 };
    if !name.starts_with(b"_Z") {
        return None;
    }
    loop {
        let digits = name.get(at..)?.iter().take_while(|b| b.is_ascii_digit());
        let end = at + digits.count();
        if end == at {
            break;
        }
        let length: usize = std::str::from_utf8(name.get(at..end)?).ok()?.parse().ok()?;
        at = end.checked_add(length)?;
        if !nested {
            break;
        }
    }
    if nested && name.get(at) != Some(&b'E') {
        return None;
    }
    let end = at + usize::from(nested);
    name.get(..end).filter(|part| part.len() > 3)
}

#[cfg(test)]
mod tests {
    use super::function_part;

    #[test]
    fn the_part_of_a_mangled_name_before_the_parameters() {
        let part = |name: &'static str| {
            function_part(name.as_bytes()).map(|part| str::from_utf8(part).expect("is text"))
        };
        assert_eq!(part("_Z3fooi"), Some("_Z3foo"));
        assert_eq!(part("_ZN2ns3fooERKSs"), Some("_ZN2ns3fooE"));
        assert_eq!(part("_ZN2ns3fooIiEEvT_"), None);
        assert_eq!(part("_ZNSt6vectorE"), None);
        assert_eq!(part("_Z99999999999999999999999foo"), None);
        assert_eq!(part("_Z9foo"), None);
        assert_eq!(part("_Z"), None);
        assert_eq!(part("foo"), None);
    }
}
