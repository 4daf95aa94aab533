//! The description of the interface, made from the handlers; the schema of a record is the
//! one in the crate `dldl`.

use std::sync::OnceLock;

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::api;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dldl",
        description = "Ages of faces in pictures: a distribution, an interval, and how probably a \
                       person has reached an age. Pictures are neither stored nor logged.",
        license(name = "MIT OR Apache-2.0 (the code; /v1/models has the model's terms)"),
        contact(),
    ),
    paths(api::estimate, api::models, api::metrics, api::live, api::ready, api::description,),
    components(schemas(crate::problem::ProblemBody))
)]
struct Description;

/// The description as JSON.
pub(crate) fn json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_string())
}

fn document() -> Value {
    let mut document =
        serde_json::to_value(Description::openapi()).expect("a description is plain data");
    let record = dldl::record_schema().replace("#/$defs/", "#/components/schemas/");
    let mut record: Value = serde_json::from_str(&record).expect("a schema is JSON");
    let parts = record.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("$defs")
    });
    let schemas = &mut document["components"]["schemas"];
    if let Some(Value::Object(parts)) = parts {
        for (name, part) in parts {
            schemas[name] = part;
        }
    }
    schemas["PictureRecord"] = record;
    let one = json!({ "$ref": "#/components/schemas/PictureRecord" });
    schemas["EstimateAnswer"] = json!({ "oneOf": [one, { "type": "array", "items": one }] });
    let binary = json!({ "schema": { "type": "string", "format": "binary" } });
    let parts = json!({ "schema": {
        "type": "object",
        "required": ["file"],
        "additionalProperties": false,
        "properties": {
            "file": {
                "type": "array",
                "minItems": 1,
                "items": { "type": "string", "format": "binary" },
            },
        },
    } });
    document["paths"]["/v1/estimate"]["post"]["requestBody"] = json!({
        "required": true,
        "content": {
            "image/*": binary,
            "application/octet-stream": binary,
            "multipart/form-data": parts,
        },
    });
    limit(&mut document["paths"]["/v1/estimate"]["post"]["parameters"]);
    document["components"]["securitySchemes"] =
        json!({ "token": { "type": "http", "scheme": "bearer" } });
    for (path, method) in [("/v1/estimate", "post"), ("/v1/models", "get"), ("/metrics", "get")] {
        // Without a token file, none is needed.
        document["paths"][path][method]["security"] = json!([{ "token": [] }, {}]);
    }
    document
}

/// Adds the limits of the parameters, which macros cannot express for items and open ends.
fn limit(parameters: &mut Value) {
    for parameter in parameters.as_array_mut().into_iter().flatten() {
        parameter["schema"] = match parameter["name"].as_str() {
            Some("level") => {
                json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
            }
            Some("threshold") => json!({
                "type": "array",
                "items": { "type": "number", "exclusiveMinimum": 0, "maximum": 100 },
            }),
            _ => continue,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_to_what_is_there() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        found.push(target.clone());
                    }
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 15, "{found:?}");
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn every_route_is_described() {
        let document = document();
        for path in api::PATHS {
            assert!(document["paths"][path].is_object(), "{path}");
        }
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    }
}
