//! The lateness of delayed messages as a picture: which share was how late.

use std::path::Path;

use plotters::prelude::*;

use super::late::Lateness;

const SIZE: (u32, u32) = (720, 400);
const STEPS: u32 = 1000;

/// Draws the quantiles of both phases, sparse and burst, over a logarithmic axis.
pub(super) fn lateness(file: &Path, sparse: &Lateness, burst: &Lateness) -> anyhow::Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let most = burst.ms(1.0).max(sparse.ms(1.0)).max(1.0);
    let mut chart = ChartBuilder::on(&area)
        .caption("Lateness of delayed messages", ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..100.0, (0.1..most * 1.2).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("percentile")
        .y_desc("ms after the due time")
        .draw()?;
    for (name, lateness, color) in [("sparse", sparse, BLUE), ("burst", burst, RED)] {
        let at = |step| f64::from(step) / f64::from(STEPS);
        let points = (0..=STEPS).map(|step| (at(step) * 100.0, lateness.ms(at(step)).max(0.1)));
        chart
            .draw_series(LineSeries::new(points, color))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
