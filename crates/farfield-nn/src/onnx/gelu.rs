//! GELU, `x Phi(x)` with the normal distribution function `Phi` (Hendrycks & Gimpel 2016), in the exact form.
//!
//! In `f32` by the operator `Erf`: `x/2 (1 + erf(x / sqrt 2))`. onnxruntime has no `Erf` in `f64`, so there the file brings its own function, from
//! elementary operators: with `z = |x| / sqrt 2` and `t = (z - 3) / (z + 3)`,
//!
//! ```text
//! erfc(z) = exp(-z^2) p(t),   Phi(x) = 1 - erfc(z)/2 for x > 0,  erfc(z)/2 else
//! ```
//!
//! `p` interpolates `exp(z^2) erfc(z)` at 24 Chebyshev nodes on `-1 <= t <= 1`; its error is `1e-15`. Cost: about 60 passes over the values.

use super::graph::{Graph, OPSET, Value, bytes, float_type};
use super::proto::{AttributeProto, FunctionProto, NodeProto, OperatorSetIdProto, TensorProto};
use crate::config::Precision;
use crate::error::NnError;

/// Domain of the function.
pub(crate) const DOMAIN: &str = "farfield";

/// Coefficients of `p`, highest power first.
const COEFFICIENTS: [f64; 24] = [
    1.3893769242217411e-10,
    6.383820574704045e-10,
    -8.827472957259754e-10,
    -6.9923567668061646e-9,
    2.7582429601202833e-10,
    4.4082708584398e-8,
    2.9535509860522218e-8,
    -2.3200197160634688e-7,
    -2.9472888156986324e-7,
    1.2508474781369847e-6,
    2.120369120028365e-6,
    -7.977448543897518e-6,
    -1.2860598662983321e-5,
    6.40563691709428e-5,
    4.5255316174464566e-5,
    -0.0005970619162657594,
    0.0007077464371184603,
    0.004269136329526542,
    -0.024392499318576535,
    0.07166583719815463,
    -0.1501159365007792,
    0.24560380171232718,
    -0.3262335600430372,
    0.17900115118138996,
];

/// GELU of every entry.
///
/// # Errors
/// None that a model can cause.
pub(crate) fn gelu(g: &mut Graph, x: &Value) -> Result<Value, NnError> {
    if g.precision() == Precision::F64 {
        return Ok(g.call(function(), x));
    }
    let (root, one, half) = (g.scalar(std::f64::consts::SQRT_2)?, g.scalar(1.0)?, g.scalar(0.5)?);
    let scaled = g.div(x, &root)?;
    let erf = g.erf(&scaled);
    let sum = g.add(&erf, &one)?;
    let product = g.mul(x, &sum)?;
    g.mul(&product, &half)
}

/// The nodes of a function: values are their names.
struct Body(Vec<NodeProto>);

impl Body {
    fn node(&mut self, op: &str, input: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = format!("v{}", self.0.len());
        let input = input.iter().map(|&name| name.to_owned()).collect();
        self.0.push(NodeProto {
            input,
            output: vec![output.clone()],
            op_type: op.to_owned(),
            attribute,
            ..NodeProto::default()
        });
        output
    }

    fn number(&mut self, value: f64) -> String {
        let (data_type, raw_data) = (float_type(Precision::F64), bytes(&[value], Precision::F64));
        let tensor = TensorProto { data_type, raw_data, ..TensorProto::default() };
        self.node("Constant", &[], vec![AttributeProto::tensor("value", tensor)])
    }
}

/// `y = gelu(x)` in `f64`.
fn function() -> FunctionProto {
    let mut body = Body(Vec::new());
    let [root, three, half, one, zero] = [std::f64::consts::FRAC_1_SQRT_2, 3.0, 0.5, 1.0, 0.0].map(|v| body.number(v));
    let size = body.node("Abs", &["x"], Vec::new());
    let z = body.node("Mul", &[&size, &root], Vec::new());
    let (above, below) = (body.node("Sub", &[&z, &three], Vec::new()), body.node("Add", &[&z, &three], Vec::new()));
    let t = body.node("Div", &[&above, &below], Vec::new());
    let mut p = body.number(COEFFICIENTS[0]);
    for &coefficient in &COEFFICIENTS[1..] {
        let product = body.node("Mul", &[&p, &t], Vec::new());
        let coefficient = body.number(coefficient);
        p = body.node("Add", &[&product, &coefficient], Vec::new());
    }
    let square = body.node("Mul", &[&z, &z], Vec::new());
    let exponent = body.node("Neg", &[&square], Vec::new());
    let decay = body.node("Exp", &[&exponent], Vec::new());
    let erfc = body.node("Mul", &[&decay, &p], Vec::new());
    let lower = body.node("Mul", &[&erfc, &half], Vec::new());
    let upper = body.node("Sub", &[&one, &lower], Vec::new());
    let positive = body.node("Greater", &["x", &zero], Vec::new());
    let phi = body.node("Where", &[&positive, &upper, &lower], Vec::new());
    body.node("Mul", &["x", &phi], Vec::new());
    if let Some(last) = body.0.last_mut() {
        last.output = vec!["y".to_owned()];
    }
    FunctionProto {
        name: "Gelu".to_owned(),
        input: vec!["x".to_owned()],
        output: vec!["y".to_owned()],
        node: body.0,
        doc_string: "x Phi(x) in double precision".to_owned(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        domain: DOMAIN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `erf` by its power series, accurate to rounding for small arguments.
    fn erf(z: f64) -> f64 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -z * z / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn the_polynomial_is_the_complementary_error_function() {
        for i in 0..=200 {
            let z = 0.01 * i as f64;
            let t = (z - 3.0) / (z + 3.0);
            let p = COEFFICIENTS.iter().fold(0.0, |sum, c| sum * t + c);
            let error = ((-z * z).exp() * p - (1.0 - erf(z))).abs();
            assert!(error < 1e-14, "{z}: {error}");
        }
        // exp(z^2) erfc(z) = 1 / (z sqrt pi) (1 - 1/(2 z^2) + 3/(4 z^4) - 15/(8 z^6) + ...), far out.
        let z = 50.0f64;
        let (t, w) = ((z - 3.0) / (z + 3.0), 1.0 / (z * z));
        let p = COEFFICIENTS.iter().fold(0.0, |sum, c| sum * t + c);
        let series = (1.0 - 0.5 * w + 0.75 * w * w - 1.875 * w * w * w) / (z * std::f64::consts::PI.sqrt());
        assert!((p / series - 1.0).abs() < 1e-12, "{p} {series}");
    }
}
