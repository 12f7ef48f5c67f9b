package io.heatkv.policy;

import io.heatkv.cache.CachePolicy;

/**
 * Makes the policies of one name. Those of other jars are found by {@link java.util.ServiceLoader}:
 * a public class with a public constructor without parameters, named in the jar's {@code
 * META-INF/services/io.heatkv.policy.PolicyProvider}.
 */
public interface PolicyProvider {
  /** Small letters, digits and hyphens; no other policy's. */
  String name();

  /**
   * Makes a policy for a model and a budget.
   *
   * @throws io.heatkv.error.UserException if it can't be made from the inputs
   */
  CachePolicy create(PolicyInputs inputs);
}
