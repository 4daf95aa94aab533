//! Memory of the engine: after the first call, calls allocate nothing.

use dldl_net::{Crop, Engine, NetSpec, Weights, quantize};

#[test]
fn a_second_call_allocates_nothing() {
    let weights = Weights::random("tiny", NetSpec::tiny_age(101)).unwrap();
    let crops: Vec<Crop> =
        (0..3).map(|i| Crop::new(224, vec![70 * i; 3 * 224 * 224]).unwrap()).collect();
    let quantized = quantize(&weights, &crops[..1], "gray").unwrap();
    assert_allocates_once(&Engine::from_weights(&weights).unwrap(), &crops);
    assert_allocates_once(&Engine::from_quantized(&quantized).unwrap(), &crops);
}

fn assert_allocates_once(engine: &Engine, crops: &[Crop]) {
    // A pool of one thread; with more, Rayon's own queues may grow.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut logits = vec![0.0; crops.len() * 2 * 101];
    one.install(|| {
        engine.logits_into(crops, 2, &mut logits).unwrap();
        let before = (engine.arena_bytes(), logits.clone());
        let counted = allocation_counter::measure(|| {
            engine.logits_into(crops, 2, &mut logits).unwrap();
        });
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
        assert_eq!((engine.arena_bytes(), logits.clone()), before);
    });
}

#[test]
fn the_arena_is_below_8_mb() {
    // TinyAgeNet's largest activations alone, 16 x 224 x 224, would be 3.2 MB.
    let weights = Weights::random("tiny", NetSpec::tiny_age(101)).unwrap();
    let engine = Engine::from_weights(&weights).unwrap().threads(1).unwrap();
    engine.run(&[Crop::new(224, vec![0; 3 * 224 * 224]).unwrap()]).unwrap();
    assert!(engine.arena_bytes() < 8_000_000, "{} bytes", engine.arena_bytes());
}
