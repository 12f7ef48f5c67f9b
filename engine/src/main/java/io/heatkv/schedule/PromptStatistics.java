package io.heatkv.schedule;

/**
 * How one prompt's attention looks, beside its masses: what peers of HeatKV are calibrated by.
 *
 * @param selectivity ScaleKV's attention selectivity index [target scale][layer], from 0 to 1:
 *     share of the current scale times share of the most attended history tokens; row 0 unused
 * @param variance HACK's column variance of the last scale's attention [layer][head], summed over
 *     keys, from 0 to 1
 * @param distance AMS-KV's distance between the keys of neighbouring scales [layer], from 0 to 2
 */
public record PromptStatistics(double[][] selectivity, double[][] variance, double[] distance) {}
