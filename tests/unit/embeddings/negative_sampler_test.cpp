// The alias table against the distribution that it was built from: exactly, by adding up its slots, and by drawing.
#include "embeddings/negative_sampler.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "embeddings/learning_rate.h"
#include "partition/errors.h"

namespace knotwork::embeddings {
namespace {

// Chi-square of draws against masses, divided by its degrees of freedom: about 1 if they agree.
double reduced_chi_square(const std::vector<double>& masses, const NegativeSampler& sampler, std::uint32_t first) {
  std::mt19937 random(42);
  const std::size_t draws = 2'000'000;
  std::vector<double> counts(masses.size());
  for (std::size_t i = 0; i < draws; ++i) {
    const auto slot = static_cast<std::uint32_t>(random());
    counts.at(sampler.sample(slot, static_cast<std::uint32_t>(random())) - first) += 1.0;
  }
  double chi = 0.0;
  std::size_t used = 0;
  for (std::size_t i = 0; i < masses.size(); ++i) {
    const double expected = masses[i] / sampler.total_mass() * static_cast<double>(draws);
    if (expected == 0.0) {
      EXPECT_EQ(counts[i], 0.0) << "node " << i << " has no mass";
      continue;
    }
    chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++used;
  }
  return used < 2 ? 1.0 : chi / static_cast<double>(used - 1);
}

TEST(NegativeSamplerTest, draws_in_proportion_to_mass) {
  std::vector<double> masses;
  for (int i = 0; i < 1000; ++i) masses.push_back(std::pow(1.0 + i % 97, 0.75));
  masses[13] = 0.0;
  masses[500] = 2000.0;  // a hub
  const NegativeSampler sampler(masses, 70);
  const double chi = reduced_chi_square(masses, sampler, 70);
  EXPECT_GT(chi, 0.8);
  EXPECT_LT(chi, 1.2);  // 998 degrees of freedom: standard deviation 0.045
}

TEST(NegativeSamplerTest, extreme_masses) {
  for (const std::vector<double>& masses :
       {std::vector<double>{3.0}, {1.0, 1.0, 1.0}, {0.0, 5.0, 0.0}, {1e-12, 1.0, 1e-12, 2.0}, {1e9, 1.0, 1.0}}) {
    EXPECT_LT(reduced_chi_square(masses, NegativeSampler(masses), 0), 8.0) << masses.size();
  }
}

TEST(NegativeSamplerTest, refuses_bad_masses) {
  EXPECT_THROW(NegativeSampler(std::vector<double>{}), partition::InputError);
  EXPECT_THROW(NegativeSampler(std::vector<double>{0.0, 0.0}), partition::InputError);
  EXPECT_THROW(NegativeSampler(std::vector<double>{1.0, -1.0}), partition::InputError);
  EXPECT_THROW(NegativeSampler(std::vector<double>{1.0, std::numeric_limits<double>::quiet_NaN()}),
               partition::InputError);
}

TEST(LearningRateTest, falls_linearly_and_not_below_the_minimum) {
  const LearningRate rate(0.025F, 0.005F);
  EXPECT_FLOAT_EQ(rate.at(0.0), 0.025F);
  EXPECT_FLOAT_EQ(rate.at(0.5), 0.015F);
  EXPECT_FLOAT_EQ(rate.at(1.0), 0.005F);
  EXPECT_FLOAT_EQ(rate.at(1.7), 0.005F);
  EXPECT_FLOAT_EQ(LearningRate(0.1F, 0.1F).at(0.3), 0.1F);
}

}  // namespace
}  // namespace knotwork::embeddings
