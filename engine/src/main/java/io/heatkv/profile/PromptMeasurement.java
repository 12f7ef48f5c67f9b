package io.heatkv.profile;

import io.heatkv.schedule.PromptStatistics;
import java.util.Optional;

/**
 * What one calibration prompt gives.
 *
 * @param masses attention mass [target][source][layer][head]; null where not measured
 * @param statistics for the peers of HeatKV; empty where they aren't measured
 * @param removal cost of removing each atom [source][layer][head]
 * @param levels cost of every level of each atom [source][layer][head][level]: 0 is dropped, then
 *     come those of {@link io.heatkv.schedule.Level#ALL}
 */
public record PromptMeasurement(
    double[][][][] masses,
    Optional<PromptStatistics> statistics,
    double[][][] removal,
    double[][][][] levels) {}
