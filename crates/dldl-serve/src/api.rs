//! The routes and their handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use dldl::{Estimator, PictureRecord, RecordOptions};
use serde::Serialize;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::access::Access;
use crate::metrics::Metrics;
use crate::observe::{self, LogFormat};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::queue::Queue;
use crate::upload::{self, Memory, Upload};
use crate::{openapi, page};

/// The paths of the interface; those of the page are in [`page::FILES`].
pub(crate) const PATHS: [&str; 6] =
    ["/v1/estimate", "/v1/models", "/livez", "/readyz", "/metrics", "/openapi.json"];

/// What the handlers share.
pub(crate) struct App {
    pub estimator: Arc<Estimator>,
    pub defaults: RecordOptions,
    pub queue: Queue,
    pub memory: Memory,
    pub metrics: Arc<Metrics>,
    pub access: Access,
    pub max_body: usize,
    pub timeout: Duration,
    pub log: Option<LogFormat>,
    pub stopping: AtomicBool,
}

/// The service without connections.
pub(crate) fn router(app: Arc<App>, cors: &[String]) -> Router {
    let guarded = Router::new()
        .route("/v1/estimate", post(estimate))
        .route("/v1/models", get(models))
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(app.clone(), authorize));
    let pages = page::FILES.iter().fold(Router::new(), |routes, file| {
        routes.route(file.path, get(|| async { file.response() }))
    });
    let open = pages
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(description));
    let routes = guarded
        .merge(open)
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe));
    let routes = if cors.is_empty() { routes } else { routes.layer(cors_layer(cors)) };
    routes.with_state(app)
}

fn cors_layer(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("x-request-id")])
        .expose_headers([HeaderName::from_static("x-request-id")])
}

async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.access.allows(request.headers()) {
        return next.run(request).await;
    }
    upload::drain(request.into_body()).await;
    Problem::unauthorized().into_response()
}

/// The answer to an estimate.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    One(PictureRecord),
    Batch(Vec<PictureRecord>),
}

/// Estimates the faces in one or several pictures.
///
/// Send the bytes of a picture (JPEG, PNG, WebP, HEIC, JPEG XL, TIFF, BMP, GIF; the first bytes
/// decide), or several as parts `file` of multipart/form-data. A picture without a face has
/// an empty list of faces. Of several pictures, those that cannot be used have an `error`; the
/// others have their estimates.
#[utoipa::path(
    post,
    path = "/v1/estimate",
    operation_id = "estimate",
    params(
        ("level" = Option<f64>, Query, description = "Probability of the intervals, between 0 \
         and 1 (default 0.9)", example = 0.9),
        ("distribution" = Option<bool>, Query, description = "Whether to add the probability of \
         every label"),
        ("threshold" = Option<Vec<f64>>, Query, description = "Ages, as `threshold=18&threshold=25` \
         or `threshold=18,25`: adds the probability of being at least so old"),
        ("min_quality" = Option<f64>, Query, description = "Faces of a lower quality get no \
         estimates", minimum = 0.0, maximum = 1.0),
        ("task" = Option<String>, Query, description = "Only these estimates: `age`, or another \
         task of the model", pattern = "^age$"),
    ),
    responses(
        (status = 200, description = "The estimates: of a picture, or a list of parts' pictures in \
         their order", body = ref("#/components/schemas/EstimateAnswer")),
        (status = 400, description = "A parameter or the body is wrong",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body or the picture is too large",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not a picture, or not a supported format",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The picture is damaged",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "A fault of the service",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full, or the service stops",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn estimate(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.timeout;
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let model = app.estimator.engine().info();
    // Refused before the body takes memory.
    let early = if app.queue.is_full() {
        Err(Problem::busy())
    } else {
        Parameters::parse(query, &app.defaults, model)
    };
    let parameters = match early {
        Ok(parameters) => Arc::new(parameters),
        Err(problem) => {
            upload::drain(body).await;
            return Err(problem);
        }
    };
    let reading = upload::read(&head.headers, body, app.max_body, &app.memory);
    let uploads = before(deadline, reading).await.unwrap_or(Err(Problem::slow_body()))?;
    let mut places = app.queue.reserve(uploads.pictures.len())?;
    let mut answers = Vec::with_capacity(uploads.pictures.len());
    for (i, Upload { name, bytes }) in uploads.pictures.into_iter().enumerate() {
        let name =
            name.unwrap_or_else(|| if uploads.batch { i.to_string() } else { "body".into() });
        let parameters = parameters.clone();
        let answer = app.queue.push(&mut places, name.clone(), bytes, parameters, deadline)?;
        answers.push((name, answer));
    }
    let mut records = Vec::with_capacity(answers.len());
    for (name, answer) in answers {
        // A job that was given up drops its sender.
        let answer = before(deadline, answer).await.and_then(Result::ok);
        records.push(match answer.ok_or_else(Problem::timeout)? {
            Err(problem) if uploads.batch => {
                PictureRecord::failed(name, &model.name, problem.detail)
            }
            result => result?,
        });
    }
    let answer = match uploads.batch {
        true => Answer::Batch(records),
        false => Answer::One(records.swap_remove(0)),
    };
    let mut response = json(&answer);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The result, if it is there in time.
async fn before<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), work).await.ok()
}

/// Describes the model: network, labels, training data, license and measured errors.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "models",
    responses(
        (status = 200, description = "The models of the service", body = Value),
        (status = 401, description = "No accepted token",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn models(State(app): State<Arc<App>>) -> Response {
    json(&serde_json::json!({ "models": [app.estimator.engine().info()] }))
}

/// What the service counts, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    responses(
        (status = 200, description = "Metrics", body = String, content_type = "text/plain"),
        (status = 401, description = "No accepted token",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text = app.metrics.text(app.queue.depth(), app.queue.capacity());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Whether the process runs.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "live",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub(crate) async fn live() -> &'static str {
    "ok"
}

/// Whether requests are accepted: not while the service stops.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    responses(
        (status = 200, description = "They are", body = String, content_type = "text/plain"),
        (status = 503, description = "The service is being stopped",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.stopping.load(Ordering::Relaxed) { Err(Problem::stopping()) } else { Ok("ok") }
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "description",
    responses((status = 200, description = "OpenAPI 3.1", body = Value))
)]
pub(crate) async fn description() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::json()).into_response()
}

async fn not_found(request: Request) -> Problem {
    let path = request.uri().path().to_owned();
    upload::drain(request.into_body()).await;
    Problem::not_found(&path)
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    upload::drain(request.into_body()).await;
    Problem::method(&method, &path)
}

/// An answer of 200 as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let headers = [(CONTENT_TYPE, "application/json"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (StatusCode::OK, headers, Body::from(bytes)).into_response()
        }
        Err(e) => Problem::internal(e.to_string()).into_response(),
    }
}
