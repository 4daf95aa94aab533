//! The stages of detection, as reported to profilers.

/// What the detector does at a moment, see
/// [`Detector::profile`](crate::Detector::profile).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorStage {
    /// Downscaling a picture that is larger than the search needs.
    Downscale,
    /// YuNet's search, from the pixels to the boxes.
    YuNet,
    /// Downscaling it to the levels of the pyramid.
    Pyramid,
    /// The proposal network, run on every position at every scale.
    PNet,
    /// Non-maximum suppression of candidates.
    Nms,
    /// Cutting out the candidates' windows.
    Windows,
    /// The network that refines candidates.
    RNet,
    /// The network that makes the final decision and finds landmarks; and the
    /// rest of the detection.
    ONet,
}
