//! The backward pass of a layer with so few tiles that it is a single task. Threads share
//! the coefficients instead of the images, so that each computes whole sums.

use rayon::prelude::*;
use std::sync::Mutex;

use super::backward::Task;
use super::kernels::Panel;
use super::maps::Sums;
use super::outer;
use super::step::{Grid, ONE_BY_ONE, Scratch, Tiles, Work, multiply_one};
use super::transform::COEFFICIENTS;
use crate::level::at_level;
use crate::planes::{LANES, Lanes};

/// Number of steps that the images are divided into. Each is transformed as a whole.
const STEPS: usize = 4;

/// As [`Task::run`], with the gradient with respect to the transformed weights in `part`.
/// Returns the sums of each step.
pub(super) fn run(
    task: &Task,
    z: &mut [Lanes],
    part: &mut Vec<Lanes>,
    works: &Mutex<Vec<Work>>,
) -> Vec<Sums> {
    let (level, grid) = (task.level, Grid::new(&task.above));
    let (cin, cout) = (task.source.maps.blocks(), task.above.blocks());
    let pictures = (z.len() / task.above.size()).div_ceil(STEPS);
    let chunk = pictures * task.above.size();
    let rows = |z: &[Lanes]| 0..z.len() / task.above.size() * grid.rows;
    let tiles = |z: &[Lanes]| Tiles::new(level, rows(z).len() * grid.columns);

    let mut steps = Scratch::take(works, z.len().div_ceil(chunk));
    let transformed = z.par_chunks_mut(chunk).zip(&mut steps).enumerate();
    transformed.with_max_len(ONE_BY_ONE).for_each(|(i, (z, work))| {
        let tiles = tiles(z);
        task.from(i * pictures).transform(rows(z), &tiles, z, work);
        let length = COEFFICIENTS * tiles.stride(cin);
        if work.sums.len() < length {
            work.sums.resize(length, Lanes::default());
        }
    });

    let size = cin * LANES * cout;
    part.resize(COEFFICIENTS * size, Lanes::default());
    let mut operands: Vec<_> = z
        .chunks(chunk)
        .zip(&mut steps)
        .map(|(z, work)| {
            let tiles = tiles(z);
            let sums = work.sums.chunks_mut(tiles.stride(cin));
            (tiles, &work.windows, &work.gradients, sums)
        })
        .collect();
    let coefficients: Vec<_> = part
        .chunks_mut(size)
        .map(|part| {
            let each = operands.iter_mut().map(|(tiles, windows, gradients, sums)| {
                let sums = sums.next().expect("one per coefficient");
                (*tiles, &windows[..], &gradients[..], sums)
            });
            (part, each.collect::<Vec<_>>())
        })
        .collect();
    let coefficients = coefficients.into_par_iter().enumerate();
    coefficients.with_max_len(ONE_BY_ONE).for_each(|(c, (part, steps))| {
        part.fill(Lanes::default());
        for (tiles, windows, gradients, sums) in steps {
            let windows = &windows[c * tiles.stride(cin)..];
            let gradients = &gradients[c * tiles.stride(cout)..];
            at_level!(level, simd => outer::add(simd, &tiles, (cin, cout), windows, gradients, part));
            let (mut weights, mut sums) = (&task.kernels.backward[..], sums);
            for panel in Panel::all(level, cin) {
                let channels = task.kernels.cout;
                multiply_one(level, &tiles, panel, channels, c, gradients, weights, sums);
                weights = &weights[COEFFICIENTS * channels * panel.blocks..];
                sums = &mut sums[tiles.groups * tiles.group * panel.blocks..];
            }
        }
    });

    let store = |(i, (z, work)): (usize, (&mut [Lanes], &mut Work))| {
        let (task, tiles) = (task.from(i * pictures), tiles(z));
        let mut sums = Sums::new(cin);
        task.reserve_carry(work);
        for panel in Panel::all(level, cin) {
            let from = &work.sums[tiles.groups * tiles.group * panel.first..];
            let products = (from, tiles.stride(cin));
            let carry = &mut work.carry;
            at_level!(level, simd => {
                task.store(simd, panel, rows(z), products, carry, z, &mut sums);
            });
        }
        sums
    };
    let sums = z.par_chunks_mut(chunk).zip(&mut steps).enumerate();
    let sums = sums.with_max_len(ONE_BY_ONE).map(store).collect();
    works.lock().expect("no task panics while holding the lock").append(&mut steps);
    sums
}
