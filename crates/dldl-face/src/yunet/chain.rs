//! A chain of layers that is run row by row: each layer keeps the few rows that it needs, so
//! that everything but the kept feature maps stays in the cache.

use dldl_kernels::{DepthwiseConv, DirectConv, Lanes, max_pool_rows};

/// A 1x1 convolution and a depthwise 3x3 convolution.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub point: DirectConv<Lanes>,
    pub depth: DepthwiseConv,
}

/// A layer of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer<'a> {
    Unit(&'a Unit),
    /// Max pooling, 2x2 with stride 2.
    Pool,
    /// Copies the rows, and passes them on.
    Keep,
}

/// All rows of a feature map, each `[blocks, width]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    pub width: usize,
    pub blocks: usize,
    pub lanes: Vec<Lanes>,
}

impl Map {
    pub fn rows(&self) -> impl Iterator<Item = &[Lanes]> {
        self.lanes.chunks_exact((self.width * self.blocks).max(1))
    }

    /// Adds a map of half the width and height, each of its pixels to four.
    pub fn add_doubled(&mut self, half: &Map) {
        let (width, stride) = (self.width, self.width * self.blocks);
        for (y, row) in self.lanes.chunks_exact_mut(stride).enumerate() {
            let small = &half.lanes[y / 2 * half.width * half.blocks..];
            for (row, small) in row.chunks_exact_mut(width).zip(small.chunks_exact(half.width)) {
                for (x, lanes) in row.iter_mut().enumerate() {
                    for (v, add) in lanes.0.iter_mut().zip(small[x / 2].0) {
                        *v += add;
                    }
                }
            }
        }
    }
}

/// A chain and the rows that its layers hold.
pub(super) struct Chain<'a> {
    layers: Vec<Layer<'a>>,
    states: Vec<State>,
}

/// The rows of one layer.
#[derive(Default)]
struct State {
    width: usize,
    /// The last three rows after the 1x1 convolution, or the first one of a pair.
    rows: [Vec<Lanes>; 3],
    zeros: Vec<Lanes>,
    /// How many rows there were.
    seen: usize,
    out: Vec<Lanes>,
    map: Map,
}

impl<'a> Chain<'a> {
    /// A chain for rows of this width.
    pub fn new(layers: Vec<Layer<'a>>, mut width: usize) -> Self {
        let mut states = Vec::with_capacity(layers.len());
        for layer in &layers {
            states.push(State { width, ..State::default() });
            if let Layer::Pool = layer {
                width /= 2;
            }
        }
        Self { layers, states }
    }

    /// Takes the next row.
    pub fn push(&mut self, row: &[Lanes]) {
        self.step(0, Some(row));
    }

    /// Ends the rows; the maps that were kept, in order.
    pub fn finish(mut self) -> Vec<Map> {
        self.step(0, None);
        let both = self.layers.iter().zip(self.states);
        both.filter(|(layer, _)| matches!(layer, Layer::Keep)).map(|(_, s)| s.map).collect()
    }

    /// Gives a row, or the end, to layer `i` and what comes out of it to the next.
    fn step(&mut self, i: usize, row: Option<&[Lanes]>) {
        let Some(layer) = self.layers.get(i).copied() else { return };
        match layer {
            Layer::Keep => {
                if let Some(row) = row {
                    let state = &mut self.states[i];
                    (state.map.width, state.map.blocks) = (state.width, row.len() / state.width);
                    state.map.lanes.extend_from_slice(row);
                }
                self.step(i + 1, row);
            }
            Layer::Pool => {
                let state = &mut self.states[i];
                let Some(row) = row else { return self.step(i + 1, None) };
                state.seen += 1;
                if state.seen % 2 == 1 {
                    state.rows[0].clear();
                    state.rows[0].extend_from_slice(row);
                    return;
                }
                let mut out = std::mem::take(&mut state.out);
                out.resize(row.len() / state.width * (state.width / 2), Lanes::default());
                max_pool_rows(&[&state.rows[0], row], state.width, 2, &mut out);
                self.step(i + 1, Some(&out));
                self.states[i].out = out;
            }
            Layer::Unit(unit) => {
                let state = &mut self.states[i];
                if let Some(row) = row {
                    let length = unit.depth.blocks() * state.width;
                    let newest = &mut state.rows[state.seen % 3];
                    newest.resize(length, Lanes::default());
                    unit.point.row(&[row], state.width, newest);
                    state.zeros.resize(length, Lanes::default());
                    state.seen += 1;
                }
                // The row before the newest one has its neighbors now; at the end, the newest.
                let waiting = if row.is_some() { 2 } else { 1 };
                if state.seen >= waiting {
                    let y = state.seen - waiting;
                    let at = |y: usize| &state.rows[y % 3][..];
                    let above = if y == 0 { &state.zeros } else { at(y - 1) };
                    let below = if row.is_some() { at(y + 1) } else { &state.zeros };
                    let mut out = std::mem::take(&mut state.out);
                    out.resize(state.zeros.len(), Lanes::default());
                    unit.depth.row([above, at(y), below], state.width, &mut out);
                    self.step(i + 1, Some(&out));
                    self.states[i].out = out;
                }
                if row.is_none() {
                    self.step(i + 1, None);
                }
            }
        }
    }
}
