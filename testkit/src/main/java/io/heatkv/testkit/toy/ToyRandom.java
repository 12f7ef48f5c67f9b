package io.heatkv.testkit.toy;

import io.heatkv.convert.RandomCheckpoint;
import io.heatkv.load.RandomModel;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;

/** Random weights of any size. */
record ToyRandom(ToyConfig config) implements ToySizes, RandomModel {
  @Override
  public String name() {
    return ToyFamily.SIZE;
  }

  @Override
  public ToyRandom tiny() {
    return new ToyRandom(new ToyConfig(1));
  }

  @Override
  public ToyModel load(Backend backend, Device device, DType dtype) {
    RandomCheckpoint weights = new RandomCheckpoint(config.shapes(), 1);
    return new ToyModel(config, weights, backend, device, dtype, weights::close);
  }
}
