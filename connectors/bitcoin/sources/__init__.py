"""Where blocks and coins come from: a node, Electrum servers, Esplora servers."""
