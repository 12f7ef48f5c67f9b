package io.heatkv.infinity;

import io.heatkv.cache.KvCache;
import io.heatkv.scale.ScaleSchedule;
import io.heatkv.tensor.Tensor;

/**
 * What is the same for all scales of one generation.
 *
 * @param condition derived from the text
 * @param schedule grids of the scales
 * @param rotary table of the schedule, see {@link InfinityTransformer#rotary}
 * @param cache keys and values of earlier scales
 * @param observer is shown every self-attention's output
 */
public record GenerationPass(
    Condition condition,
    ScaleSchedule schedule,
    Tensor rotary,
    KvCache cache,
    AttentionObserver observer) {}
