//! What somebody may have meant who misspelled a word.

/// The candidate that is most like `word`, if one is.
pub(super) fn similar<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let rated = candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate));
    // A third of the letters may be wrong.
    let near = rated.filter(|(distance, candidate)| distance * 3 <= candidate.len());
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_suggested() {
        let words = ["whole-archive", "gc-sections", "export-dynamic"];
        assert_eq!(similar("whole-archve", words), Some("whole-archive"));
        assert_eq!(similar("gcsections", words), Some("gc-sections"));
        assert_eq!(similar("rnu", ["run", "explain"]), Some("run"));
        assert_eq!(similar("frobnicate", words), None);
    }
}
