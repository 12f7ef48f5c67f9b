package io.heatkv.cache;

/**
 * Bytes that a cache took, measured from its tensors.
 *
 * @param storage of keys and values of earlier scales, allocated for the life of the cache: what a
 *     budget bounds
 * @param currentScale largest keys and values of a scale while its layer attends; outside the
 *     budget
 * @param workspace largest copies of retained entries while a layer attends; outside the budget
 */
public record KvMemory(long storage, long currentScale, long workspace) {}
