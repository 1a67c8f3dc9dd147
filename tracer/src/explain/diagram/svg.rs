//! The diagram as a picture: for the documentation, and for pages.

use crate::{
    explain::diagram::{ARROWS, BOXES, Cell},
    tcp::state::State,
};

/// Size of the picture in pixels.
pub const PICTURE: (usize, usize) = (800, 490);

/// Size of a cell in pixels, and the margin around.
const CELL: (usize, usize) = (10, 22);
const MARGIN: usize = 20;

/// Size of a box, in pixels.
pub const BOX: (usize, usize) = (118, 26);

fn pixel((x, y): Cell) -> (usize, usize) {
    (MARGIN + x * CELL.0 + CELL.0 / 2, MARGIN + y * CELL.1 + CELL.1 / 2)
}

/// A box of the picture.
#[derive(Clone, Copy, Debug)]
pub struct PictureBox {
    /// The state.
    pub state: State,
    /// Its middle, in pixels.
    pub middle: (usize, usize),
}

/// An arrow of the picture.
#[derive(Clone, Debug)]
pub struct PictureArrow {
    /// From this state.
    pub old: State,
    /// To this one.
    pub new: State,
    /// Its corners, as the attribute `points` has them.
    pub corners: String,
    /// What makes it happen.
    pub by: &'static str,
    /// Where that stands, in pixels.
    pub by_at: (usize, usize),
}

/// The boxes. CLOSE is there twice: it is the beginning and the end.
pub fn boxes() -> impl Iterator<Item = PictureBox> {
    BOXES.iter().map(|state_box| PictureBox {
        state: State::from_kernel(state_box.state),
        middle: pixel(state_box.at),
    })
}

/// The arrows that are drawn.
pub fn arrows() -> impl Iterator<Item = PictureArrow> {
    ARROWS.iter().filter(|arrow| !arrow.path.is_empty()).map(|arrow| {
        let corners = arrow.path.iter().map(|cell| pixel(*cell)).map(|(x, y)| format!("{x},{y}"));
        let (x, y) = pixel(arrow.by_at);
        PictureArrow {
            old: State::from_kernel(arrow.old),
            new: State::from_kernel(arrow.new),
            corners: corners.collect::<Vec<_>>().join(" "),
            by: arrow.by,
            by_at: (x, y + 5),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn svg() -> String {
        let (width, height) = PICTURE;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"14\">\n\
             <title>TCP states, and the transitions that Linux makes between them</title>\n\
             <defs><marker id=\"head\" markerWidth=\"9\" markerHeight=\"8\" refX=\"5\" refY=\"4\" orient=\"auto\">\
             <path d=\"M0,0 L9,4 L0,8 z\" fill=\"#57606a\"/></marker></defs>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        );
        for PictureArrow { corners, by, by_at: (x, y), .. } in arrows() {
            // Writing into memory cannot fail.
            let _ = writeln!(
                out,
                "<polyline points=\"{corners}\" fill=\"none\" stroke=\"#57606a\" stroke-width=\"1.5\" marker-end=\"url(#head)\"/>\n\
                 <text x=\"{x}\" y=\"{y}\" fill=\"#57606a\">{by}</text>",
            );
        }
        for PictureBox { state, middle: (x, y) } in boxes() {
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

    #[test]
    fn the_documentations_picture_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/states.svg");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, svg()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), svg(), "UPDATE_DOCS=1 cargo test -p tcp-tracer");
    }
}
