{
  "variables": {
    "kernel_sources": [
      "native/kernels/table.cc",
      "native/kernels/peak.cc",
      "native/kernels/matrix.cc",
      "native/kernels/attention.cc",
      "native/kernels/attention_backward.cc",
      "native/kernels/attention_cached.cc",
      "native/kernels/elementwise.cc",
      "native/kernels/norm.cc",
      "native/kernels/rope.cc",
      "native/kernels/glu.cc",
      "native/kernels/embedding.cc",
      "native/kernels/router.cc",
      "native/kernels/dispatch.cc",
      "native/kernels/loss.cc",
      "native/kernels/optimizer.cc"
    ],
    "kernel_flags": ["-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
  },
  "target_defaults": {
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
    "cflags_cc": ["<@(kernel_flags)", "-fexceptions", "-fvisibility=hidden"],
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "OTHER_CPLUSPLUSFLAGS": ["<@(kernel_flags)"]
    },
    "include_dirs": ["native"]
  },
  "targets": [
    {
      "target_name": "kernels_baseline",
      "type": "static_library",
      "defines": ["ISA_NS=isa_baseline", "ISA_NAME=\"baseline\""],
      "sources": ["<@(kernel_sources)"]
    },
    {
      "target_name": "dabarex",
      "dependencies": ["kernels_baseline"],
      "sources": [
        "native/binding.cc",
        "native/arguments.cc",
        "native/memory.cc",
        "native/pool.cc",
        "native/bind_matrix.cc",
        "native/bind_attention.cc",
        "native/bind_elementwise.cc",
        "native/bind_norm.cc",
        "native/bind_rope.cc",
        "native/bind_glu.cc",
        "native/bind_embedding.cc",
        "native/bind_router.cc",
        "native/bind_dispatch.cc",
        "native/bind_loss.cc",
        "native/bind_optimizer.cc",
        "native/checksum.cc"
      ],
      "conditions": [
        ["OS=='linux'", {"ldflags": ["-Wl,-z,nodelete"]}],
        ["target_arch=='x64'", {"dependencies": ["kernels_avx2", "kernels_avx512", "kernels_avx512bf16"]}]
      ]
    }
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "variables": {
        "avx2_flags": ["-mavx2", "-mfma", "-mf16c"],
        "avx512_flags": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mprefer-vector-width=512"]
      },
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "defines": ["ISA_NS=isa_avx2", "ISA_NAME=\"avx2\""],
          "cflags_cc": ["<@(avx2_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx2_flags)"]},
          "sources": ["<@(kernel_sources)"]
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "defines": ["ISA_NS=isa_avx512", "ISA_NAME=\"avx512\""],
          "cflags_cc": ["<@(avx512_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)"]},
          "sources": ["<@(kernel_sources)"]
        },
        {
          "target_name": "kernels_avx512bf16",
          "type": "static_library",
          "defines": ["ISA_NS=isa_avx512bf16", "ISA_NAME=\"avx512bf16\""],
          "cflags_cc": ["<@(avx512_flags)", "-mavx512bf16"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)", "-mavx512bf16"]},
          "sources": ["<@(kernel_sources)"]
        }
      ]
    }]
  ]
}
