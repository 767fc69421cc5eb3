/** The papers of measures, by how the measures name them. */
const ENTRIES: Record<string, string> = {
  'Kornblith et al. 2019': `@inproceedings{kornblith2019similarity,
  title = {Similarity of Neural Network Representations Revisited},
  author = {Kornblith, Simon and Norouzi, Mohammad and Lee, Honglak and Hinton, Geoffrey},
  booktitle = {International Conference on Machine Learning},
  year = {2019}
}`,
  'Nguyen et al. 2021': `@inproceedings{nguyen2021wide,
  title = {Do Wide and Deep Networks Learn the Same Things? Uncovering How Neural Network
    Representations Vary with Width and Depth},
  author = {Nguyen, Thao and Raghu, Maithra and Kornblith, Simon},
  booktitle = {International Conference on Learning Representations},
  year = {2021}
}`,
  'Song et al. 2012': `@article{song2012feature,
  title = {Feature Selection via Dependence Maximization},
  author = {Song, Le and Smola, Alex and Gretton, Arthur and Bedo, Justin and Borgwardt, Karsten},
  journal = {Journal of Machine Learning Research},
  volume = {13},
  year = {2012}
}`,
  'Raghu et al. 2017': `@inproceedings{raghu2017svcca,
  title = {{SVCCA}: Singular Vector Canonical Correlation Analysis for Deep Learning Dynamics and
    Interpretability},
  author = {Raghu, Maithra and Gilmer, Justin and Yosinski, Jason and Sohl-Dickstein, Jascha},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2017}
}`,
  'Morcos et al. 2018': `@inproceedings{morcos2018insights,
  title = {Insights on Representational Similarity in Neural Networks with Canonical Correlation},
  author = {Morcos, Ari S. and Raghu, Maithra and Bengio, Samy},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2018}
}`,
  'Williams et al. 2021': `@inproceedings{williams2021generalized,
  title = {Generalized Shape Metrics on Neural Representations},
  author = {Williams, Alex H. and Kunz, Erin and Kornblith, Simon and Linderman, Scott W.},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2021}
}`,
  'Kriegeskorte et al. 2008': `@article{kriegeskorte2008representational,
  title = {Representational Similarity Analysis -- Connecting the Branches of Systems Neuroscience},
  author = {Kriegeskorte, Nikolaus and Mur, Marieke and Bandettini, Peter},
  journal = {Frontiers in Systems Neuroscience},
  volume = {2},
  year = {2008}
}`,
  'Huh et al. 2024': `@inproceedings{huh2024platonic,
  title = {The Platonic Representation Hypothesis},
  author = {Huh, Minyoung and Cheung, Brian and Wang, Tongzhou and Isola, Phillip},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}`,
  'Hotelling 1936': `@article{hotelling1936relations,
  title = {Relations Between Two Sets of Variates},
  author = {Hotelling, Harold},
  journal = {Biometrika},
  volume = {28},
  year = {1936}
}`,
  'Schönemann 1966': `@article{schonemann1966generalized,
  title = {A Generalized Solution of the Orthogonal {Procrustes} Problem},
  author = {Sch{\\"o}nemann, Peter H.},
  journal = {Psychometrika},
  volume = {31},
  year = {1966}
}`,
  'Li et al. 2016': `@inproceedings{li2016convergent,
  title = {Convergent Learning: Do Different Neural Networks Learn the Same Representations?},
  author = {Li, Yixuan and Yosinski, Jason and Clune, Jeff and Lipson, Hod and Hopcroft, John},
  booktitle = {International Conference on Learning Representations},
  year = {2016}
}`,
  'Khosla and Williams 2024': `@inproceedings{khosla2024soft,
  title = {Soft Matching Distance: A Metric on Neural Representations That Captures Single-Neuron
    Tuning},
  author = {Khosla, Meenakshi and Williams, Alex H.},
  booktitle = {Proceedings of UniReps: the First Workshop on Unifying Representations in Neural
    Models},
  year = {2024}
}`,
  'Yamins et al. 2014': `@article{yamins2014performance,
  title = {Performance-Optimized Hierarchical Models Predict Neural Responses in Higher Visual
    Cortex},
  author = {Yamins, Daniel L. K. and Hong, Ha and Cadieu, Charles F. and Solomon, Ethan A. and
    Seibert, Darren and DiCarlo, James J.},
  journal = {Proceedings of the National Academy of Sciences},
  volume = {111},
  year = {2014}
}`,
  lucid: `@misc{lucid,
  title = {Lucid: A Collection of Infrastructure and Tools for Research in Neural Network
    Interpretability},
  author = {{The Lucid authors}},
  howpublished = {https://github.com/tensorflow/lucid}
}`,
};

/** The papers that a measure names, as BibTeX; empty where none of them is known here. */
export function bibtex(paper: string): string {
  return Object.keys(ENTRIES)
    .filter((name) => paper.includes(name))
    .map((name) => ENTRIES[name]!)
    .join('\n\n');
}
