//! Every target on its corpus: seeds, and what the fuzzer found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dldl_fuzz::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dldl-face/tests/data/pictures")
}

/// The corpus of a target; that of pictures begins with those of the decoders' tests.
fn inputs(target: &str) -> Vec<PathBuf> {
    let files = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let extension = |path: &PathBuf| match path.extension().and_then(|e| e.to_str()) {
        Some("jpg") => "jpeg",
        Some("bmp" | "gif") => "bmp-gif",
        Some("png") => "png",
        Some("webp") => "webp",
        Some("heic") => "heic",
        Some("jxl") => "jxl",
        Some("tiff") => "tiff",
        _ => "none",
    };
    let mut inputs = files(pictures());
    inputs.retain(|path| extension(path) == target);
    inputs.extend(files(corpus().join(target)));
    inputs.sort();
    assert!(!inputs.is_empty(), "no corpus of {target}");
    inputs
}

#[test]
fn nothing_in_the_corpus_fails() {
    for target in TARGETS {
        for file in inputs(target.name) {
            eprintln!("{}", file.display());
            (target.run)(&fs::read(&file).unwrap());
        }
    }
}

/// Truncations and changed bytes of the seeds, as a fuzzer begins.
#[test]
fn nor_do_small_changes_of_it() {
    for target in TARGETS {
        // Processes and connections are slower than functions.
        let slow = ["http", "video", "jxl", "heic"].contains(&target.name);
        let (count, most) = if slow { (2, 6) } else { (12, 20) };
        for file in inputs(target.name).into_iter().take(most) {
            let bytes = fs::read(&file).unwrap();
            for i in 0..count.min(bytes.len()) {
                let at = i * bytes.len() / count.min(bytes.len());
                (target.run)(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (i % 8);
                (target.run)(&changed);
            }
        }
    }
}

/// Writes the seeds that are made by our own code. Pictures are those of the decoders' tests, the
/// cache is that of two crops of 32 pixels.
#[test]
#[ignore = "writes the corpus"]
fn write_seeds() {
    let mut seeds: BTreeMap<&str, Vec<(&str, Vec<u8>)>> = BTreeMap::new();
    let weights = small_weights();
    let f32s = weights.to_bytes(dldl_net::Precision::F32).unwrap();
    let f16s = weights.to_bytes(dldl_net::Precision::F16).unwrap();
    let no_size = [&[0][..], &f16s].concat();
    let size = [&[4][..], &f32s].concat();
    seeds.insert("onnx", vec![("any-size", no_size), ("32-pixels", size)]);
    seeds.insert("weights", vec![("f32", f32s), ("f16", f16s), ("int8", int8(&weights))]);
    let array = |head: &str, data: &[u8]| {
        let head = format!("{{{head}, 'fortran_order': False, }}\n");
        let length = u16::try_from(head.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], head.as_bytes(), data].concat()
    };
    let f4 = array("'descr': '<f4', 'shape': (2, 3)", &[0; 24]);
    let f8 = array("'descr': '<f8', 'shape': (1, 2)", &[0; 16]);
    seeds.insert("npy", vec![("f4", f4), ("f8", f8)]);
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let recipe = |name: &str| fs::read_to_string(recipes.join(name)).unwrap();
    let set = format!("epochs=3\nheads.0.sigma=2\n---\n{}", recipe("tiny-ages.toml"));
    let all = vec![("tiny", recipe("tiny.toml").into_bytes()), ("set", set.into_bytes())];
    seeds.insert("recipe", all);
    seeds.insert("checkpoint", vec![("start", checkpoint(&recipe("tiny-ages.toml")))]);
    let http = |head: &str, body: &[u8]| {
        let length = body.len();
        let head = head.replace('\n', "\r\n");
        [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), body].concat()
    };
    let png = fs::read(pictures().join("p3.png")).unwrap();
    let post = "POST /v1/estimate?level=0.5&threshold=18,25 HTTP/1.1\nHost: x\nConnection: close\n";
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let parts = [part.as_bytes(), &png, b"\r\n", part.as_bytes(), b"no picture\r\n--b--\r\n"];
    let multipart = post.to_owned() + "Content-Type: multipart/form-data; boundary=b\n";
    seeds.insert(
        "http",
        vec![
            ("get", b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()),
            ("picture", http(post, &png)),
            ("parts", http(&multipart, &parts.concat())),
        ],
    );
    let log = "[info]   Duration: 00:00:02.50, start: 0.0\n\
               [Parsed_metadata_2 @ 0x5] [info] frame:0 pts:0 pts_time:0\n\
               [Parsed_metadata_2 @ 0x5] [info] frame:1 pts:1 pts_time:0.04";
    let frames = b"\n---\nP6\n2 1\n255\n123456P6\n2 1\n255\n654321";
    seeds.insert("video", vec![("frames", [log.as_bytes(), frames].concat())]);
    let table = |format: &str, text: &[u8]| {
        let index = dldl_data::FORMATS.iter().position(|known| known.name == format).unwrap();
        [&[index as u8][..], text].concat()
    };
    let csv = "file,age,split\na.jpg,20,train\n\"b,c.jpg\",30.5,test\n";
    let people = "file;person;sex;age\r\na.jpg;1;F;20\r\nb.jpg;2;M;30\r\n";
    let utkface = "file,split,group\n20_0_0_20170101.jpg,train,1\n30_1_2_2017.jpg,val,2\n";
    let fairface = "file,age,gender,race,service_test\nval/1.jpg,3-9,Male,East Asian,True\n";
    let chalearn = "image,mean,std\n1.jpg,20.5,3.1\n";
    let tables = [
        ("csv", csv),
        ("people", people),
        ("utkface", utkface),
        ("fairface", fairface),
        ("chalearn16", chalearn),
        ("appa-real", "file_name,real_age,apparent_age_avg,apparent_age_std\n1.jpg,20,21,2\n"),
        ("london", "file,age,sex,mean,std,n1\n1.jpg,20,F,3,1,2\n"),
        ("omi", "file,age,age_std,attractiveness\n1.jpg,20,2,3.5\n"),
    ];
    let all = tables.map(|(format, text)| (format, table(format, text.as_bytes())));
    seeds.insert("table", all.into());
    let sheets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dldl-data/tests/data");
    let sheet = |name: &str| fs::read(sheets.join(name)).unwrap();
    let cfd = table("cfd", &sheet("cfd.xlsx"));
    let scut = table("scut-fbp", &sheet("scut-fbp.xlsx"));
    seeds.insert("xlsx", vec![("cfd", cfd), ("scut-fbp", scut)]);
    for (name, files) in seeds {
        let folder = corpus().join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, bytes) in files {
            fs::write(folder.join(file), bytes).unwrap();
        }
    }
}

/// A network of some hundred parameters.
fn small_weights() -> dldl_net::Weights {
    let mut weights =
        dldl_net::Weights::random("small", dldl_net::NetSpec::vgg16(1, 512, 101)).unwrap();
    weights.info.input_size = 32;
    weights
}

fn int8(weights: &dldl_net::Weights) -> Vec<u8> {
    let size = weights.info.net.size_step();
    let crop = dldl_net::Crop::new(size, vec![90; 3 * size * size]).unwrap();
    dldl_net::quantize(weights, &[crop], "noise").unwrap().to_bytes().unwrap()
}

fn checkpoint(recipe: &str) -> Vec<u8> {
    use dldl_train::{NamedTensors, Tensor, TrainConfig, checkpoint};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let config = TrainConfig::parse(recipe, &[]).unwrap();
    let tensors = NamedTensors::from([("a".into(), Tensor::new([2, 2], vec![0.0; 4]))]);
    checkpoint::save(&path, &checkpoint::State::new(config, [4, 2]), &tensors).unwrap();
    fs::read(path).unwrap()
}
