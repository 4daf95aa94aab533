//! Color maps: a sequential one for amounts and a diverging one for signed values.
//! Their lightness is monotonic, so they remain readable for color-blind people and in
//! grayscale.

use dldl_plot::Color;

/// Viridis (Smith, van der Walt and Firing, matplotlib), at multiples of 1/8.
const VIRIDIS: [Color; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// ColorBrewer's RdBu with nine classes, blue first.
const BLUE_RED: [Color; 9] = [
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
];

/// Viridis at `t`, clamped to 0..=1.
pub fn viridis(t: f64) -> Color {
    between(&VIRIDIS, t)
}

/// Blue at -1, almost white at 0, red at 1; clamped.
pub fn blue_red(t: f64) -> Color {
    between(&BLUE_RED, 0.5 + 0.5 * t)
}

fn between(stops: &[Color; 9], t: f64) -> Color {
    let position = if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) * 8.0 };
    let below = (position as usize).min(7);
    let part = position - below as f64;
    std::array::from_fn(|i| {
        let (a, b) = (f64::from(stops[below][i]), f64::from(stops[below + 1][i]));
        (a + part * (b - a)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (Rec. 709) of linear light.
    fn luminance(color: Color) -> f64 {
        let light = color.map(|v| (f64::from(v) / 255.0).powf(2.2));
        0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    }

    #[test]
    fn viridis_lightness_increases() {
        let steps: Vec<f64> = (0..=64).map(|i| luminance(viridis(f64::from(i) / 64.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!(viridis(-3.0), [0x44, 0x01, 0x54]);
        assert_eq!(viridis(2.0), [0xfd, 0xe7, 0x25]);
        assert_eq!(viridis(f64::NAN), viridis(0.0));
    }

    #[test]
    fn blue_red_is_lightest_at_0_and_darkens_toward_both_ends() {
        for side in [-1.0, 1.0] {
            let steps = (0..=32).map(|i| luminance(blue_red(side * f64::from(i) / 32.0)));
            let steps: Vec<f64> = steps.collect();
            assert!(steps.windows(2).all(|pair| pair[0] > pair[1]), "{steps:?}");
        }
        let (cold, warm) = (blue_red(-1.0), blue_red(1.0));
        assert!(cold[2] > cold[0] && warm[0] > warm[2]);
    }
}
