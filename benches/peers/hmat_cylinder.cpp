// hmat-oss on the cylinder of `farfield matrix bench cylinder`: assemble, apply, LU, solve, memory and true error, one JSON line.
//
//   apt install libhmat-oss-dev libopenblas0-pthread
//   g++ -O3 -march=native benches/peers/hmat_cylinder.cpp -lhmat -o target/hmat_cylinder
//   OPENBLAS_NUM_THREADS=1 target/hmat_cylinder 50000 inverse 200 1e-4
//
// hmat-oss is under the GPL: this program is compiled and run on its own, nothing of farfield links to it.
//
// The points: a helix of N points on a cylinder of radius 1, neighbours h = 1.75 pi / sqrt(N) apart along the helix and
// turns h apart. Kernels: `inverse`, 1 / (4 pi (r + 1e-8)); `smooth`, 1 / (4 pi sqrt(r^2 + h^2)), shifted by `shift` on the diagonal.
#include <hmat/hmat.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

struct Problem {
    std::vector<double> points;
    bool smooth;
    double h, shift;
    double entry(int i, int j) const {
        double r2 = 0;
        for (int k = 0; k < 3; k++) {
            double d = points[3 * i + k] - points[3 * j + k];
            r2 += d * d;
        }
        double value = smooth ? 1 / (4 * M_PI * std::sqrt(r2 + h * h)) : 1 / (4 * M_PI * (std::sqrt(r2) + 1e-8));
        return i == j ? value + shift : value;
    }
};

struct Block {
    const Problem* problem;
    const int *rows, *cols;
};

static void prepare(int row, int, int col, int, int* rows, int*, int* cols, int*, void* context, hmat_block_info_t* info) {
    info->user_data = new Block{static_cast<Problem*>(context), rows + row, cols + col};
    info->release_user_data = [](void* data) { delete static_cast<Block*>(data); };
}

static void compute(void* data, int row, int nrows, int col, int ncols, void* out) {
    const Block& block = *static_cast<Block*>(data);
    double* values = static_cast<double*>(out);
    for (int j = 0; j < ncols; j++)
        for (int i = 0; i < nrows; i++)
            values[i + j * nrows] = block.problem->entry(block.rows[row + i], block.cols[col + j]);
}

static double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](timeval t) { return t.tv_sec + 1e-6 * t.tv_usec; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <class F>
static double seconds(F f) {
    double start = cpu_seconds();
    f();
    return cpu_seconds() - start;
}

int main(int argc, char** argv) {
    if (argc < 5 || (std::strcmp(argv[2], "inverse") && std::strcmp(argv[2], "smooth"))) {
        std::fprintf(stderr, "usage: %s POINTS inverse|smooth LEAF TOLERANCE [SHIFT]\n", argv[0]);
        return 2;
    }
    const int n = std::atoi(argv[1]), leaf = std::atoi(argv[3]);
    const double tolerance = std::atof(argv[4]);
    Problem problem{std::vector<double>(3 * n), !std::strcmp(argv[2], "smooth"), 1.75 * M_PI / std::sqrt(double(n)), 0};
    problem.shift = argc > 5 ? std::atof(argv[5]) : 0;
    for (int i = 0; i < n; i++) {
        double angle = i * problem.h;
        problem.points[3 * i] = std::cos(angle);
        problem.points[3 * i + 1] = std::sin(angle);
        problem.points[3 * i + 2] = angle / (2 * M_PI) * problem.h;
    }

    hmat_interface_t hmat;
    hmat_init_default_interface(&hmat, HMAT_DOUBLE_PRECISION);
    hmat.init();
    auto* median = hmat_create_clustering_median();
    auto* clustering = hmat_create_clustering_max_dof(median, leaf);
    auto* tree = hmat_create_cluster_tree(problem.points.data(), 3, n, clustering);
    auto* admissibility = hmat_create_admissibility_standard(3.0);
    hmat_matrix_t* matrix = hmat.create_empty_hmatrix_admissibility(tree, tree, 0, admissibility);
    hmat.set_low_rank_epsilon(matrix, tolerance);
    hmat_assemble_context_t assemble;
    hmat_assemble_context_init(&assemble);
    assemble.compression = hmat_create_compression_aca_plus(tolerance);
    assemble.user_context = &problem;
    assemble.prepare = prepare;
    assemble.block_compute = compute;
    assemble.progress = nullptr;
    double assemble_s = seconds([&] { hmat.assemble_generic(matrix, &assemble); });
    hmat_info_t info, factors;
    hmat.get_info(matrix, &info);

    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    std::vector<double> x(n), y(n), b(n);
    for (double& value : x) value = normal(random);
    double one = 1, zero = 0, apply_s = 1e9;
    for (int k = 0; k < 5; k++)
        apply_s = std::min(apply_s, seconds([&] { hmat.gemv('N', &one, matrix, x.data(), &zero, y.data(), 1); }));

    // Rows of the matrix by products with unit vectors of the transpose.
    double error = 0, total = 0;
    std::uniform_int_distribution<int> any(0, n - 1);
    for (int sample = 0; sample < 1000; sample++) {
        int row = any(random);
        std::fill(b.begin(), b.end(), 0.0);
        b[row] = 1;
        hmat.gemv('T', &one, matrix, b.data(), &zero, y.data(), 1);
        for (int j = 0; j < n; j++) {
            if (j == row) continue;
            double exact = problem.entry(row, j);
            error += (y[j] - exact) * (y[j] - exact);
            total += exact * exact;
        }
    }

    hmat_factorization_context_t factorization;
    hmat_factorization_context_init(&factorization);
    factorization.factorization = hmat_factorization_lu;
    factorization.progress = nullptr;
    hmat.gemv('N', &one, matrix, x.data(), &zero, b.data(), 1);
    double lu_s = seconds([&] { hmat.factorize_generic(matrix, &factorization); });
    hmat.get_info(matrix, &factors);
    std::vector<double> solution = b;
    double solve_s = seconds([&] { hmat.solve_systems(matrix, solution.data(), 1); });
    double difference = 0, norm = 0;
    for (int i = 0; i < n; i++) {
        difference += (solution[i] - x[i]) * (solution[i] - x[i]);
        norm += x[i] * x[i];
    }
    std::printf(
        "{\"program\": \"hmat-oss %s\", \"points\": %d, \"kernel\": \"%s\", \"leaf\": %d, \"tolerance\": %g, \"assemble_s\": %.3f, "
        "\"apply_s\": %.4f, \"lu_s\": %.3f, \"solve_s\": %.4f, \"mib\": %.1f, \"factors_mib\": %.1f, \"off_diagonal_error\": %.3e, \"solve_error\": %.3e}\n",
        hmat_get_version(), n, argv[2], leaf, tolerance, assemble_s, apply_s, lu_s, solve_s,
        info.compressed_size * 8.0 / (1 << 20), factors.compressed_size * 8.0 / (1 << 20), std::sqrt(error / total), std::sqrt(difference / norm));
    return 0;
}
