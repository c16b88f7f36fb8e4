"""Where requests come in; the doors do not know each other, nor what happens behind them."""
