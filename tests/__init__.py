"""The tests of the package, the recipes, the tools and the set-up."""
