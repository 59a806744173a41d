"""English words that questions are made of, as stems, and how much a match on each is worth (1.0 = any other word).

The weight is the share of training questions with the stem whose paragraph has it too, divided by the mean share of all
stems (0.72), for stems in at least 80 of 79,324 questions (``benchmarks/tune_retrieval.py --filler``). Names and topics
(leave, benefit, travel, amount, …) were taken out by hand: in a company's documents they are what is asked about.
"""

from __future__ import annotations

_BY_WEIGHT = {
    0.2: "along anoth besid do done els get happen kind might much say sort stand type want you",
    0.3: "abl actual addit approxim becaus begin belong biggest came come compris date gave given go have know long lose "
    "mani notabl prior put regard said see thing think tri",
    0.4: "about be becom believ decad due far feel find give help hold instead make name previous reason saw so start "
    "take those took wrote",
    0.5: "accord aspect bring call caus consid creat decid decreas exampl famous keep like look made need occur piec place "
    "primarili promin respons send spend stay taken thought togeth typic up upon usual way year",
    0.6: "agre around attribut away befor belief better big could describ determin fall favor figur impact involv lack "
    "main mean onc oppos other out part possibl result seen sometim toward turn two we while write",
    0.7: "achiev acquir add affect after allow also among ani attend becam began brought characterist claim concern "
    "contain die down dure earn effort even exist fail featur focus follow gain group grow hit individu initi issu itself "
    "known larg lead left lost nicknam now often one over present prevent receiv same signific similar specif still "
    "subject term throughout titl veri view well win within",
    0.8: "appli attempt author avail avoid back bodi both can classifi close combin common complet condit consist content "
    "contribut current differ direct discov discuss display each effect element era everi expand expect experi found goal "
    "him idea indic join larger last learn less live major man must off offer origin outsid particular peopl point prefer "
    "primari problem provid reach recogn refer relat run sent serv show some such suffer than through treat wide writer "
    "written",
}
FILLER: dict[str, float] = {stem: weight for weight, stems in _BY_WEIGHT.items() for stem in stems.split()}
