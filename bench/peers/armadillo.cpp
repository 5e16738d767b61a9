// Armadillo's gmm_full as a peer: see bench/bench_peers.py.
//
// armadillo FOLDER
//
// An own start is that of the example in its manual: random rows and ten iterations of k-means.

#include <armadillo>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

using arma::mat;

static const arma::uword KMEANS_ITERATIONS = 10;
static const double VARIANCE_FLOOR = 1e-10;

static std::size_t occurrences(const std::string &text, const std::string &word) {
    std::size_t found = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) found++;
    return found;
}

int main(int, char **arguments) {
    const std::string folder = std::string(arguments[1]) + "/";
    arma::uword n, d, k, trials;
    std::ifstream(folder + "shape") >> n >> d >> k >> trials;
    if (trials > 0) {
        std::cerr << "it has no binomial mixtures\n";
        return 1;
    }
    mat X(d, n);
    arma::vec start(k + k * d + k * d * d);
    std::ifstream(folder + "rows").read((char *)X.memptr(), X.n_elem * sizeof(double));
    std::ifstream(folder + "start").read((char *)start.memptr(), start.n_elem * sizeof(double));
    const arma::rowvec weights(start.memptr(), k);
    const mat means(start.memptr() + k, d, k);
    const arma::cube covariances(start.memptr() + k + k * d, d, d, k);

    std::printf("%s\n", arma::arma_version::as_string().c_str());
    std::fflush(stdout);
    std::string begin_at;
    arma::uword iterations, seed = 0;
    while (std::cin >> begin_at >> iterations) {
        const bool own = begin_at == "own";
        if (own) std::cin >> seed;
        arma::arma_rng::set_seed(seed);
        std::ostringstream progress;  // the one place where the iterations that were made are told
        arma::set_cout_stream(progress);
        arma::gmm_full model;
        const auto begun = std::chrono::steady_clock::now();
        bool learnt;
        if (own) {
            learnt = model.learn(X, k, arma::maha_dist, arma::random_subset, KMEANS_ITERATIONS, iterations,
                                 VARIANCE_FLOOR, true);
        } else {
            model.set_params(means, covariances, weights);
            learnt = model.learn(X, k, arma::maha_dist, arma::keep_existing, 0, iterations, VARIANCE_FLOOR, true);
        }
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
        if (!learnt) {
            std::cerr << "gmm_full::learn has failed\n";
            return 1;
        }
        std::ofstream answer(folder + "answer", std::ios::binary);
        answer.write((const char *)model.hefts.memptr(), k * sizeof(double));
        answer.write((const char *)model.means.memptr(), k * d * sizeof(double));
        answer.write((const char *)model.fcovs.memptr(), k * d * d * sizeof(double));
        answer.close();
        std::printf("%.9f %zu\n", taken.count(), occurrences(progress.str(), "EM: iteration"));
        std::fflush(stdout);
    }
}
