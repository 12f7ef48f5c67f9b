package io.heatkv.family;

import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.DType;
import io.heatkv.tensor.Device;
import io.heatkv.tensor.Tensor;
import java.util.List;

/**
 * The networks of a next-scale prediction model on one device. They never change: several threads
 * may encode, begin passes and decode at once.
 */
public interface NextScaleModel extends AutoCloseable {
  Backend backend();

  Device device();

  /** Compute type of the transformer's blocks, and of keys and values. */
  DType dtype();

  /**
   * Sizes of a cache.
   *
   * @param pictures of a pass
   * @param rowsPerPicture with guidance 2, else 1
   */
  KvShape kvShape(int pictures, int rowsPerPicture, ScaleGrids grids);

  /**
   * @throws UserException if it can't draw over these scales
   */
  void requireDrawable(ScaleGrids grids);

  /**
   * Encodes what pictures are conditioned by; equal prompts once.
   *
   * @param guided whether every picture has an unconditional row too
   * @throws UserException if a prompt means nothing to the model
   */
  Conditioning encode(List<PictureRequest> pictures, boolean guided);

  /**
   * Pictures of summed codes.
   *
   * @param canvas [pictures, channels, rows, columns]
   * @return [pictures, 3, height, width], RGB in [-1, 1], float32
   */
  Tensor decode(Tensor canvas);

  /**
   * The image tokenizer's features of pictures, before quantisation.
   *
   * @param pixels [pictures, 3, height, width], RGB in [-1, 1]
   * @return [pictures, channels, rows, columns], float32
   * @throws UserException if the model came without an encoder
   */
  Tensor encode(Tensor pixels);

  @Override
  void close();
}
