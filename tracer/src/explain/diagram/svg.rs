//! The diagram as a picture for the documentation.

use std::fmt::Write as _;

use crate::{
    explain::diagram::{ARROWS, BOXES, Cell},
    tcp::state::State,
};

/// Size of a cell in pixels, and the margin around.
const CELL: (usize, usize) = (10, 22);
const MARGIN: usize = 20;

/// Size of a box, in pixels.
const BOX: (usize, usize) = (118, 26);

fn pixel((x, y): Cell) -> (usize, usize) {
    (MARGIN + x * CELL.0 + CELL.0 / 2, MARGIN + y * CELL.1 + CELL.1 / 2)
}

fn svg() -> String {
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 490\" font-family=\"monospace\" font-size=\"14\">\n\
         <title>TCP states, and the transitions that Linux makes between them</title>\n\
         <defs><marker id=\"head\" markerWidth=\"9\" markerHeight=\"8\" refX=\"5\" refY=\"4\" orient=\"auto\">\
         <path d=\"M0,0 L9,4 L0,8 z\" fill=\"#57606a\"/></marker></defs>\n\
         <rect width=\"800\" height=\"490\" fill=\"#ffffff\"/>\n",
    );
    for arrow in ARROWS.iter().filter(|arrow| !arrow.path.is_empty()) {
        let corners = arrow.path.iter().map(|cell| pixel(*cell)).map(|(x, y)| format!("{x},{y}"));
        let corners = corners.collect::<Vec<_>>().join(" ");
        let (x, y) = pixel(arrow.by_at);
        // Writing into memory cannot fail.
        let _ = writeln!(
            out,
            "<polyline points=\"{corners}\" fill=\"none\" stroke=\"#57606a\" stroke-width=\"1.5\" marker-end=\"url(#head)\"/>\n\
             <text x=\"{x}\" y=\"{}\" fill=\"#57606a\">{}</text>",
            y + 5,
            arrow.by
        );
    }
    for state_box in &BOXES {
        let (x, y) = pixel(state_box.at);
        let state = State::from_kernel(state_box.state);
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\" fill=\"#ddf4ff\" stroke=\"#0969da\"/>\n\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#1f2328\">{state}</text>",
            x - BOX.0 / 2,
            y - BOX.1 / 2,
            BOX.0,
            BOX.1,
            y + 5,
        );
    }
    out += "</svg>\n";
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentations_picture_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/states.svg");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, svg()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), svg(), "UPDATE_DOCS=1 cargo test -p tcp-tracer");
    }
}
