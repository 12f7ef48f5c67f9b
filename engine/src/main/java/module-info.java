import io.heatkv.infinity.load.InfinityFamily;
import io.heatkv.load.ModelFamily;
import io.heatkv.policy.PolicyProvider;
import io.heatkv.var.load.VarFamily;

/**
 * HeatKV as a library. What isn't exported is for our own modules, which read it from the class
 * path; there all native code and the embedded model are found without further options, too.
 */
module io.heatkv.engine {
  requires ai.djl.tokenizers;
  requires com.fasterxml.jackson.core;
  requires transitive java.desktop;
  requires java.management;
  requires jdk.management;
  requires static transitive org.jspecify;
  // The tokenizer logs by it; an automatic module can't say so.
  requires org.slf4j;

  exports io.heatkv;
  exports io.heatkv.cache;
  exports io.heatkv.checkpoint;
  exports io.heatkv.convert;
  exports io.heatkv.error;
  exports io.heatkv.family;
  exports io.heatkv.image;
  exports io.heatkv.load;
  exports io.heatkv.policy;
  exports io.heatkv.profile;
  exports io.heatkv.sample;
  exports io.heatkv.scale;
  exports io.heatkv.schedule;
  exports io.heatkv.tensor;
  exports io.heatkv.tensor.libtorch;
  exports io.heatkv.weights;

  uses ModelFamily;
  uses PolicyProvider;

  provides ModelFamily with
      InfinityFamily,
      VarFamily;
}
