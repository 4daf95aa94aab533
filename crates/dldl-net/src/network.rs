//! A network in f32, ready to run: layers with folded and transformed weights, and
//! the arena for their activations. The engine is its public interface; the arithmetic
//! is in `dldl-kernels`.

use dldl_kernels::{
    Conv3x3, Lanes, Level, Planes, Scratch, StemConv, Winograd, average_planes, linear_into,
    max_pool_planes,
};

use crate::{Crop, NetError, Weights};

/// A completed part of a forward pass, for profiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileEvent {
    /// Normalizing the pixels.
    Input,
    /// A convolution by its index, with its fused ReLU and pooling. The first is
    /// usually fused with the second and then not reported on its own.
    Convolution(usize),
    /// The average pooling and the last layer.
    Head,
}

/// The layers of a network.
#[derive(Debug)]
pub(crate) struct Network {
    stem: StemConv,
    /// Whether pooling follows the first convolution.
    stem_pool: bool,
    layers: Vec<Conv3x3>,
    /// `[outputs, features]`
    head_weight: Vec<f32>,
    /// `[outputs]`
    head_bias: Vec<f32>,
    /// The normalized value of each byte, by channel.
    normalized: [[f32; 256]; 3],
}

/// The buffers of a forward pass, for one picture at a time. They grow to the size that
/// the largest picture needs and never shrink.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    /// The normalized picture with its border.
    picture: Vec<f32>,
    /// Input and output of a layer, in alternation.
    planes: [Vec<Lanes>; 2],
    /// One for each thread.
    scratch: Vec<Scratch>,
    features: Vec<f32>,
}

impl Arena {
    /// Allocated bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<f32>() * (self.picture.capacity() + self.features.capacity())
            + size_of::<Lanes>() * self.planes.iter().map(Vec::capacity).sum::<usize>()
            + self.scratch.iter().map(Scratch::bytes).sum::<usize>()
    }
}

impl Network {
    /// Folds, transforms and packs the weights of a model.
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a weight overflows an f32 when batch norm is folded in.
    pub(crate) fn new(weights: &Weights, level: Level) -> Result<Self, NetError> {
        let info = &weights.info;
        let mut stem = None;
        let mut layers = Vec::new();
        let mut inputs = 3;
        let mut side = info.input_size;
        for (i, (outputs, pool)) in info.net.layers().into_iter().enumerate() {
            let (weight, bias) = weights.folded(i)?;
            if i == 0 {
                stem = Some((StemConv::new(level, &weight, &bias, outputs, inputs), pool));
            } else {
                let winograd = Winograd::for_planes(side, side);
                let shape = (outputs, inputs);
                layers.push(Conv3x3::new(level, winograd, &weight, &bias, shape, pool));
            }
            if pool {
                side /= 2;
            }
            inputs = outputs;
        }
        let (stem, stem_pool) = stem.expect("a valid network has a layer");
        let normalized = std::array::from_fn(|c| {
            let [mean, std] =
                [info.normalization.mean[c], info.normalization.std[c]].map(f64::from);
            std::array::from_fn(|v| ((v as f64 / 255.0 - mean) / std) as f32)
        });
        Ok(Self {
            stem,
            stem_pool,
            layers,
            head_weight: weights.tensor("fc.weight").to_vec(),
            head_bias: weights.tensor("fc.bias").to_vec(),
            normalized,
        })
    }

    /// Whether the first two convolutions run as one.
    fn fused(&self) -> bool {
        !self.stem_pool && !self.layers.is_empty()
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        let head = size_of::<f32>() * (self.head_weight.len() + self.head_bias.len());
        self.stem.bytes() + self.layers.iter().map(Conv3x3::bytes).sum::<usize>() + head
    }

    /// Grows the arena for pictures of `size` x `size` on `threads` threads. The layers'
    /// scratch grows on first use.
    pub(crate) fn reserve(&self, arena: &mut Arena, size: usize, threads: usize) {
        let grow = |buffer: &mut Vec<Lanes>, size: usize| {
            if buffer.len() < size {
                buffer.resize(size, Lanes::default());
            }
        };
        let picture = self.stem.picture_len(size, size);
        if arena.picture.len() < picture {
            arena.picture.resize(picture, 0.0);
        }
        let mut planes =
            Planes { channels: self.stem.output_channels(), height: size, width: size };
        let mut turn = 0;
        if !self.fused() {
            grow(&mut arena.planes[0], planes.size());
            turn = 1;
        }
        if self.stem_pool {
            planes = planes.pooled();
            grow(&mut arena.planes[1], planes.size());
            turn = 0;
        }
        for layer in &self.layers {
            planes = layer.output_planes(planes.height, planes.width);
            grow(&mut arena.planes[turn], planes.size());
            turn = 1 - turn;
        }
        arena.features.resize(planes.channels, 0.0);
        if arena.scratch.len() < threads {
            arena.scratch.resize_with(threads, Scratch::default);
        }
    }

    /// Computes the logits, `[outputs]`, of a crop of a valid size or of its mirror
    /// image. Calls `after` at the end of each part.
    pub(crate) fn forward(
        &self,
        crop: &Crop,
        mirrored: bool,
        threads: usize,
        arena: &mut Arena,
        logits: &mut [f32],
        mut after: impl FnMut(ProfileEvent),
    ) {
        let (planes, last) = self.convolve(crop, mirrored, threads, arena, &mut after);
        average_planes(&planes, &arena.planes[last], &mut arena.features);
        linear_into(&arena.features, &self.head_weight, &self.head_bias, logits);
        after(ProfileEvent::Head);
    }

    /// As [`forward`](Self::forward), on one thread; also returns the last feature map,
    /// `[features, height, width]`, with its height and width.
    pub(crate) fn features(
        &self,
        crop: &Crop,
        mirrored: bool,
        arena: &mut Arena,
        logits: &mut [f32],
    ) -> (Vec<f32>, usize, usize) {
        let (planes, last) = self.convolve(crop, mirrored, 1, arena, &mut |_| {});
        average_planes(&planes, &arena.planes[last], &mut arena.features);
        linear_into(&arena.features, &self.head_weight, &self.head_bias, logits);
        (planes.unpack(&arena.planes[last]), planes.height, planes.width)
    }

    /// The head's weight, `[outputs, features]`.
    pub(crate) fn head_weight(&self) -> &[f32] {
        &self.head_weight
    }

    /// Runs everything before the average. Returns the shape of the last feature map and
    /// the index of its buffer in the arena's `planes`.
    fn convolve(
        &self,
        crop: &Crop,
        mirrored: bool,
        threads: usize,
        arena: &mut Arena,
        after: &mut impl FnMut(ProfileEvent),
    ) -> (Planes, usize) {
        self.reserve(arena, crop.size(), threads);
        self.normalize(crop, mirrored, &mut arena.picture);
        after(ProfileEvent::Input);
        let [a, b] = &mut arena.planes;
        let (mut from, mut to) = (a, b);
        let mut last = 0;
        let channels = self.stem.output_channels();
        let mut planes = Planes { channels, height: crop.size(), width: crop.size() };
        let scratch = &mut arena.scratch[..threads];
        let mut layers = self.layers.iter().enumerate();
        if self.fused() {
            let (_, layer) = layers.next().expect("a fused stem has a next layer");
            let (height, width) = (planes.height, planes.width);
            layer.forward_with_stem(&self.stem, &arena.picture, height, width, from, scratch);
            planes = layer.output_planes(height, width);
            after(ProfileEvent::Convolution(1));
        } else {
            self.stem.forward(&arena.picture, planes.height, planes.width, from, threads > 1);
            if self.stem_pool {
                max_pool_planes(&planes, from, to);
                planes = planes.pooled();
                std::mem::swap(&mut from, &mut to);
                last = 1 - last;
            }
            after(ProfileEvent::Convolution(0));
        }
        for (i, layer) in layers {
            layer.forward(from, planes.height, planes.width, to, scratch);
            planes = layer.output_planes(planes.height, planes.width);
            std::mem::swap(&mut from, &mut to);
            last = 1 - last;
            after(ProfileEvent::Convolution(i + 1));
        }
        (planes, last)
    }

    /// Normalizes the crop's bytes and adds a border of zeros.
    fn normalize(&self, crop: &Crop, mirrored: bool, picture: &mut [f32]) {
        let size = crop.size();
        let rows = picture.chunks_exact_mut(3 * (size + 2)).take(size + 2);
        for (y, row) in rows.enumerate() {
            if y == 0 || y > size {
                row.fill(0.0);
                continue;
            }
            let (left, rest) = row.split_at_mut(3);
            let (inside, right) = rest.split_at_mut(3 * size);
            left.fill(0.0);
            right.fill(0.0);
            let (pixels, _) = crop.rgb()[3 * (y - 1) * size..][..3 * size].as_chunks::<3>();
            let (numbers, _) = inside.as_chunks_mut::<3>();
            let tables = &self.normalized;
            let number = |(to, from): (&mut [f32; 3], &[u8; 3])| {
                for c in 0..3 {
                    to[c] = tables[c][usize::from(from[c])];
                }
            };
            if mirrored {
                numbers.iter_mut().zip(pixels.iter().rev()).for_each(number);
            } else {
                numbers.iter_mut().zip(pixels).for_each(number);
            }
        }
    }
}
