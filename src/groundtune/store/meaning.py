"""English words that stand for each other in questions and answers: irregular forms, spellings, names of peoples, synonyms.

The stemmer leaves these apart. Which kinds matter was read from training questions (a word of the question is missing in
its paragraph, another one is there far more often than by chance); the groups themselves are common knowledge.
"""

from __future__ import annotations

from groundtune.text.tokenise import search_terms

_GROUPS = """
win won winner victory, lose lost loss, buy bought purchase acquire, sell sold sale, teach taught, build built construct,
write wrote written author writer, speak spoke spoken, send sent, spend spent, pay paid payment, meet met meeting,
fight fought battle, seek sought, break broke broken, rise rose risen, fall fell fallen, run ran, grow grew growth,
give gave given, take took taken, begin began begun start, become became, choose chose chosen choice, draw drew drawn,
drive drove driven, eat ate eaten, fly flew flight, forget forgot, freeze froze frozen, hide hid hidden, hold held,
keep kept, know knew known, lead led leader, leave left, make made, say said, see saw seen, shake shook, sing sang sung,
sit sat, sleep slept, steal stole stolen theft, swim swam, tell told, think thought, throw threw thrown, wear wore worn,
catch caught, bring brought, find found, feel felt, get got, go went gone, stand stood, strike struck, understand understood,
bear born birth, die died death dead, marry wife husband marriage, live inhabit resident population,
child children, man men, woman women, person people, foot feet ft, tooth teeth, mouse mice,
movie film, tv television, car automobile vehicle, photo photograph picture, phone telephone, plane aircraft airplane,
large big biggest largest, tall high highest height, fast speed quick, old age, long length, wide width, deep depth,
rich wealthy, poor poverty, money dollar fund revenue, company corporation firm business, job work occupation employment,
holiday vacation leave, doctor physician medical, lawyer attorney legal, law legal act, rule regulation, fine penalty,
cost price fee charge, begin commence, finish complete end, allow permit, forbid prohibit ban, need require must, try attempt,
use utilise, help aid assist, buy purchase, answer reply, ask request, send ship deliver, return refund, repair fix,
staff employee personnel, boss manager supervisor, allowance entitlement, monthly month, yearly annual year, daily day,
weekly week, kilometer kilometre km km2 mile mi, meter metre m, percent cent, degree celsius, temperature hot cold,
color colour, center centre, theater theatre, labor labour, honor honour, favor favour, defense defence, program programme,
organize organise, recognize recognise, realize realise, organization organisation, criticize criticise, catalog catalogue,
analyze analyse, license licence, tire tyre, gray grey, traveled travelled,
uk kingdom britain british, us usa america american states, ussr soviet, un nations, eu european union, wwii wwi war,
spain spanish, france french, germany german, rome roman, greece greek, japan japanese, china chinese, india indian,
england english, italy italian, portugal portuguese, poland polish, netherlands dutch, switzerland swiss, turkey turkish,
russia russian, egypt egyptian, iran persian iranian, mexico mexican, canada canadian, europe european, asia asian,
africa african, west western, east eastern, north northern, south southern, taiwan taiwanese, korea korean, ireland irish,
scotland scottish, denmark danish, sweden swedish, norway norwegian, finland finnish, arabia arab arabic,
philosophy philosopher philosophical, economy economic, science scientist scientific, politics political, religion religious,
discovery discover, invasion invade, recognition recognize, expansion expand, introduction introduce, decision decide,
definition define, opposition oppose, conquest conquer, settlement settle, destruction destroy, defense defend,
response respond, proof prove, belief believe, success succeed, strength strong, origin originate, song music,
attempt try, goal aim objective, military army troop, team club, near close, often frequently usual, main primary chief,
show display, kill murder, rank place, buy purchase, estimate approximate, replace substitute, live reside, create found establish
"""


def _by_stem() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for group in _GROUPS.replace("\n", " ").split(","):
        stems = list(dict.fromkeys(search_terms(group)))
        for stem in stems:
            found.setdefault(stem, {}).update(dict.fromkeys(other for other in stems if other != stem))
    return {stem: tuple(others) for stem, others in found.items()}


SAME_MEANING: dict[str, tuple[str, ...]] = _by_stem()
