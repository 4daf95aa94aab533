use super::*;

#[test]
fn names_round_trip() {
    for method in Method::ALL {
        assert_eq!(method.name().parse::<Method>().unwrap(), *method);
        let text = serde_json::to_string(method).unwrap();
        assert_eq!(serde_json::from_str::<Method>(&text).unwrap(), *method, "{text}");
        let short = format!(r#"{{"name":"{}"}}"#, method.name());
        assert_eq!(serde_json::from_str::<Method>(&short).unwrap(), *method);
    }
    assert_eq!(
        "svm".parse::<Method>().unwrap_err().to_string(),
        "unknown method `svm`: expected one of mr-l1, mr-l2, dex, ranking-bce, ranking-l2, \
         soft-ranking, er-l1, er-l2, dldl, dldl-v2, mean-variance, or-cnn, coral, sord, crps, \
         unimodal-concentrated"
    );
}

/// Includes the forms found in older weights files.
#[test]
fn serialized_forms_are_stable() {
    let v2 = Method::dldl_v2(0.5, Scaling::PerElement).unwrap();
    let smooth =
        Method::DldlV2 { lambda: 1.0, scaling: Scaling::PerSample, penalty: Penalty::SmoothL1 };
    for (method, text) in [
        (Method::Dldl, r#"{"name":"dldl"}"#),
        (v2, r#"{"name":"dldl-v2","lambda":0.5,"scaling":"per-element"}"#),
        (smooth, r#"{"name":"dldl-v2","lambda":1.0,"scaling":"per-sample","penalty":"smooth-l1"}"#),
        (Method::Sord { alpha: 2.0 }, r#"{"name":"sord","alpha":2.0}"#),
    ] {
        assert_eq!(serde_json::to_string(&method).unwrap(), text);
        assert_eq!(serde_json::from_str::<Method>(text).unwrap(), method);
    }
    for bad in [
        r#"{"name":"dldl-v3"}"#,
        r#"{"name":"dldl-v2","lambda":-1}"#,
        r#"{"name":"dldl-v2","lamda":1}"#,
        r#"{"name":"dldl-v2","scaling":"per-pixel"}"#,
        r#"{"name":"dldl-v2","penalty":"l3"}"#,
        r#"{"name":"mean-variance","variance":-0.1}"#,
        r#"{"name":"sord","alpha":0}"#,
    ] {
        assert!(serde_json::from_str::<Method>(bad).is_err(), "{bad}");
    }
    let message = Method::dldl_v2(f64::NAN, Scaling::PerSample).unwrap_err().to_string();
    assert!(message.contains("lambda NaN"), "{message}");
}

#[test]
fn head_sizes_targets_and_loss_terms() {
    let ages = LabelSet::age();
    let label = Label::new(31.4, 2.0).unwrap();
    let dldl = Method::Dldl.encode(&ages, &label).unwrap();
    assert_eq!(dldl.expectation, None);
    let method = Method::dldl_v2(2.0, Scaling::PerElement).unwrap();
    let target = method.encode(&ages, &label).unwrap();
    assert_eq!(target.distribution, dldl.distribution);
    assert_eq!(target.expectation, Some(31.4));
    let terms = method.loss_terms(&ages);
    assert_eq!(terms.iter().map(|t| t.weight).collect::<Vec<_>>(), [1.0 / 101.0, 2.0]);
    // A public field can hold what `Label::new` rejects.
    assert!(method.encode(&ages, &Label { mean: 1.0, sigma: -1.0 }).is_err());

    for (name, outputs) in
        [("mr-l1", 1), ("dex", 101), ("ranking-l2", 100), ("coral", 100), ("or-cnn", 200)]
    {
        let method: Method = name.parse().unwrap();
        assert_eq!(method.head_size(&ages), outputs, "{name}");
    }
    // One-hot; ranks below the mean; cumulative distribution.
    let dex = Method::Dex.encode(&ages, &label).unwrap().distribution.unwrap();
    assert_eq!((dex[31], dex.iter().sum::<f64>()), (1.0, 1.0));
    let ranks = Method::RankingBce.encode(&ages, &label).unwrap().ranks.unwrap();
    assert_eq!((ranks[31], ranks[32], ranks.len()), (1.0, 0.0, 100));
    let soft = Method::SoftRanking.encode(&ages, &label).unwrap().ranks.unwrap();
    let cumulative: f64 = dldl.distribution.unwrap()[..=31].iter().sum();
    assert!((soft[31] - (1.0 - cumulative)).abs() < 1e-12);
    // exp(-alpha d^2) of neighboring labels.
    let sord = Method::Sord { alpha: 0.5 }.encode(&ages, &label).unwrap().distribution.unwrap();
    let ratio = (-0.5 * (1.6f64.powi(2) - 0.6f64.powi(2))).exp();
    assert!((sord[33] / sord[32] - ratio).abs() < 1e-12);
}

#[test]
fn ratings_are_targets_with_a_mean_of_their_own() {
    let ages = LabelSet::age();
    let raters = Distribution::from_histogram(&ages, &[(20.5, 1.0), (30.0, 3.0)]).unwrap();
    let method = Method::dldl_v2(1.0, Scaling::PerSample).unwrap();
    let target = method.target(&raters, 27.7);
    assert_eq!(target.distribution.as_deref(), Some(raters.probabilities()));
    assert_eq!(target.expectation, Some(27.7));
    let ranks = Method::Coral.target(&raters, 27.7).ranks.unwrap();
    assert_eq!(ranks.iter().sum::<f64>(), 28.0);
}

/// Labels 0 and 1, logits 0 and ln 3: `p^ = (1/4, 3/4)`.
#[test]
fn losses_match_hand_computed_values() {
    let labels = LabelSet::new(0.0, 1.0, 1.0).unwrap();
    let method = Method::dldl_v2(2.0, Scaling::PerSample).unwrap();
    let target = Target {
        distribution: Some(vec![1.0, 0.0]),
        expectation: Some(0.25),
        ranks: Some(vec![0.0]),
        ..Target::default()
    };
    let logits = [0.0, 3.0_f64.ln()];
    let loss = method.loss(&labels, &target, &logits).unwrap();
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} is not {b}");
    close(loss.terms[0], 4.0_f64.ln());
    close(loss.terms[1], 0.5);
    close(loss.total, 4.0_f64.ln() + 1.0);
    // p^ - p is (-3/4, 3/4); p^ (l - y^) is (-3/16, 3/16), twice.
    close(loss.gradient[0], -1.125);
    close(loss.gradient[1], 1.125);
    // Variance 3/16, (l - y^)^2 of 9/16 and 1/16.
    let method = Method::MeanVariance { mean: 0.0, variance: 1.0 };
    close(method.loss(&labels, &target, &logits).unwrap().terms[2], 3.0 / 16.0);
    // One rank as a pair: yes has probability 3/4, the target is no.
    let pair = Method::OrCnn.loss(&labels, &target, &logits).unwrap();
    close(pair.total, 4.0_f64.ln());
    assert_eq!(pair.gradient, [-0.75, 0.75]);
    close(Method::RankingL2.loss(&labels, &target, &logits[1..]).unwrap().total, 9.0 / 16.0);
    // At the kink of the absolute value only the divergence contributes.
    let method = Method::dldl_v2(2.0, Scaling::PerSample).unwrap();
    let target = Target { expectation: Some(0.5), ..target };
    let loss = method.loss(&labels, &target, &[0.0, 0.0]).unwrap();
    assert_eq!(loss.gradient, [-0.5, 0.5]);
}

#[test]
fn penalties_match_hand_computed_values() {
    let labels = LabelSet::new(0.0, 10.0, 1.0).unwrap();
    let uniform = [0.0; 11]; // expects 5
    for (penalty, at_half, at_three) in
        [(Penalty::L1, 0.5, 3.0), (Penalty::SmoothL1, 0.125, 2.5), (Penalty::L2, 0.25, 9.0)]
    {
        let method = Method::DldlV2 { lambda: 1.0, scaling: Scaling::PerSample, penalty };
        for (mean, expected) in [(4.5, at_half), (8.0, at_three)] {
            let target = method.encode(&labels, &Label::new(mean, 1.0).unwrap()).unwrap();
            let loss = method.loss(&labels, &target, &uniform).unwrap();
            assert!((loss.terms[1] - expected).abs() < 1e-12, "{penalty:?} {mean}");
        }
    }
}

#[test]
fn invalid_lengths_and_targets_are_rejected() {
    let ages = LabelSet::age();
    let target = Target { distribution: Some(vec![1.0]), ..Target::default() };
    let error = Method::Dldl.loss(&ages, &target, &[0.0; 101]).unwrap_err();
    assert_eq!(error.to_string(), "wrong number of target probabilities: expected 101, got 1");
    assert!(Method::Dldl.loss(&ages, &target, &[0.0; 7]).is_err());
    assert!(Method::Coral.loss(&ages, &target, &[0.0; 101]).is_err());
    assert_eq!(
        Method::Coral.loss(&ages, &target, &[0.0; 100]).unwrap_err(),
        LabelError::MissingTarget("ranks")
    );
    for method in Method::ALL {
        let mut logits = vec![0.0; method.head_size(&ages)];
        assert!(method.decode(&ages, &logits).is_ok());
        logits[0] = f32::NAN;
        assert!(method.decode(&ages, &logits).is_err(), "{method:?}");
        logits.push(0.0);
        assert!(method.decode(&ages, &logits).is_err(), "{method:?}");
    }
}

/// Labels 1 to 4, with inconsistent ranks.
#[test]
fn ranks_are_counted_and_sorted() {
    let labels = LabelSet::new(1.0, 4.0, 1.0).unwrap();
    // Strictly above: a value on a label does not exceed it.
    assert_eq!(ranking_code(&labels, 3.0), [1.0, 1.0, 0.0]);
    assert_eq!(ranking_code(&labels, 3.1), [1.0, 1.0, 1.0]);
    let d = Distribution::from_probabilities(&labels, &[0.25, 0.25, 0.5, 0.0]).unwrap();
    assert_eq!(ranking_target(&d), [0.75, 0.5, 0.0]);
    // An exceedance probability of one half counts, as in the authors' code.
    assert_eq!(Method::RankingBce.estimate(&d), 3.0);
    assert_eq!(Method::SoftRanking.estimate(&d), 2.25);

    let d = Distribution::from_exceedances(&labels, &[0.25, 0.75, 0.5]).unwrap();
    assert_eq!(d.probabilities(), [0.25, 0.25, 0.25, 0.25]);
    assert!(Distribution::from_exceedances(&labels, &[0.5, 1.5, 0.0]).is_err());
    assert!(Distribution::from_exceedances(&labels, &[0.5]).is_err());

    let x = |p: f64| (p / (1.0 - p)).ln() as f32;
    let ranks = Method::Coral.decode(&labels, &[x(0.9), x(0.6), x(0.1)]).unwrap();
    assert_eq!(Method::Coral.estimate(&ranks), 3.0);
    assert!((ranks.expectation() - 2.6).abs() < 1e-6);
    let pairs = [1.0, 1.0 + x(0.9), 0.0, x(0.6), -2.0, x(0.1) - 2.0];
    let pairs = Method::OrCnn.decode(&labels, &pairs).unwrap();
    for (a, b) in pairs.probabilities().iter().zip(ranks.probabilities()) {
        assert!((a - b).abs() < 1e-6);
    }
}

/// Two views with one sure and one unsure answer: counts are 3 and 1 (the sorted ranks of
/// a view are its own), so the mean is 2; the averaged ranks exceed one half three times.
#[test]
fn methods_that_count_average_the_counts_of_two_views() {
    let labels = LabelSet::new(0.0, 4.0, 1.0).unwrap();
    let sure = Distribution::from_exceedances(&labels, &[0.9, 0.8, 0.7, 0.1]).unwrap();
    let unsure = Distribution::from_exceedances(&labels, &[0.6, 0.45, 0.4, 0.0]).unwrap();
    let average = Distribution::average(&[sure.clone(), unsure.clone()]).unwrap();
    let both = [sure.clone(), unsure];
    for method in Method::ALL {
        let fused = method.fused_estimate(&both).unwrap();
        let counts = matches!(
            method,
            Method::RankingBce | Method::RankingL2 | Method::OrCnn | Method::Coral
        );
        match counts {
            true => assert_eq!((fused, method.estimate(&average)), (2.0, 3.0), "{method:?}"),
            false => assert_eq!(fused, method.estimate(&average), "{method:?}"),
        }
        let one = std::slice::from_ref(&sure);
        assert_eq!(method.fused_estimate(one).unwrap(), method.estimate(&sure));
        assert!(method.fused_estimate(&[]).is_err());
    }
}

#[test]
fn coral_starts_with_all_labels_equally_likely() {
    let ages = LabelSet::age();
    let biases = Method::Coral.initial_biases(&ages).unwrap();
    let biases: Vec<f32> = biases.iter().map(|&b| b as f32).collect();
    let d = Method::Coral.decode(&ages, &biases).unwrap();
    assert!(d.probabilities().iter().all(|p| (p - 1.0 / 101.0).abs() < 1e-6));
    assert_eq!(Method::RankingBce.initial_biases(&ages), None);
}

#[test]
fn estimate_of_a_regression_is_its_value() {
    let labels = LabelSet::attractiveness_5();
    let d = Method::MrL1.decode(&labels, &[0.25_f32.atanh()]).unwrap();
    assert!((Method::MrL1.estimate(&d) - 3.5).abs() < 1e-6);
    assert!(Method::MrL2.decode(&labels, &[40.0]).unwrap().probabilities()[40] > 0.999_999);
}

#[test]
fn the_median_is_the_estimate_of_crps() {
    let labels = LabelSet::new(0.0, 2.0, 1.0).unwrap();
    let d = Distribution::from_probabilities(&labels, &[0.5, 0.25, 0.25]).unwrap();
    assert_eq!(Method::Crps.estimate(&d), d.quantile(0.5));
    assert_eq!(Method::Crps.estimate(&d), 0.5);
}

/// `p^ = (1/4, 3/4)`: the range of the second label alone, of both, and none.
#[test]
fn ranges_penalize_only_what_contradicts_them() {
    let labels = LabelSet::new(0.0, 1.0, 1.0).unwrap();
    let logits = [0.0, 3.0_f64.ln()];
    let above = Method::target_of_range(1.0, f64::INFINITY).unwrap();
    let loss = Method::Dldl.loss(&labels, &above, &logits).unwrap();
    assert!((loss.total - (4.0f64 / 3.0).ln()).abs() < 1e-15);
    assert!((loss.gradient[0] - 0.25).abs() < 1e-15 && (loss.gradient[1] + 0.25).abs() < 1e-15);
    let any = Method::target_of_range(f64::NEG_INFINITY, f64::INFINITY).unwrap();
    for method in Method::ALL {
        let logits = &[0.0, 3.0_f64.ln()][..method.head_size(&labels)];
        let loss = method.loss(&labels, &any, logits).unwrap();
        let spread =
            matches!(method, Method::MeanVariance { .. } | Method::UnimodalConcentrated { .. });
        if !spread {
            assert!(loss.total.abs() < 1e-15, "{method:?}: {loss:?}");
            assert!(loss.gradient.iter().all(|g| g.abs() < 1e-15), "{method:?}: {loss:?}");
        }
    }
    assert!(Method::target_of_range(2.0, 1.0).is_err());
    assert!(Method::target_of_range(f64::NAN, 1.0).is_err());
}

#[test]
fn every_method_learns_a_whole_distribution() {
    let ages = LabelSet::age();
    let teacher = Distribution::gaussian(&ages, 31.4, 5.0).unwrap();
    let target = Method::target_of_distribution(&teacher);
    assert!((target.expectation.unwrap() - 31.4).abs() < 1e-6);
    for method in Method::ALL {
        let logits = vec![0.1; method.head_size(&ages)];
        assert!(method.loss(&ages, &target, &logits).unwrap().total > 0.0, "{method:?}");
    }
}
