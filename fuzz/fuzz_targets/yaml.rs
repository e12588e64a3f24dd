//! Any bytes are a tree or an error, and every comment and document of a tree lies in its text.
#![no_main]
use provision::yaml::Tree;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = Tree::from_bytes(bytes) else { return };
    for comment in tree.comments() {
        assert!(tree.text()[comment.span.clone()].starts_with('#'));
    }
    for node in tree.documents().filter_map(|document| document.root()) {
        assert!(tree.text().get(node.full_span()).is_some());
    }
});
