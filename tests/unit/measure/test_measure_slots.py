"""Which parts of a form are filled in, whatever is written into them."""

import pytest

from groundtune.measure.slots import slot_coverage


@pytest.mark.parametrize(
    ("target", "output", "share"),
    [
        ("Product: pump\nFault: leaks\nAction: replace", "Fault: hums\nProduct: fan", 2 / 3),
        ("Product: pump\nFault: leaks", "Product:\nFault: leaks", 0.5),  # there but empty
        ("**Summary**: fine\n**Risk**: low", "Summary: bad\nRisk: high", 1.0),
        ("# Summary\nfine\n## Risk\nlow", "# Summary\nbad", 0.5),
        ("品名：水泵\n故障：漏水\n處理：更換", "品名：風扇\n處理：清潔", 2 / 3),
        ("【件名】休暇\n【内容】三日", "【件名】残業", 0.5),
        ("■ 日期：5月1日\n■ 地點：台北", "■ 日期：6月2日\n■ 地點：高雄", 1.0),
        ('{"a": 1, "b": {"c": "x"}, "d": null}', '{"a": 2, "b": {"c": ""}}', 0.5),
        ('{"rows": [{"n": 1}, {"n": 2}]}', 'Here: {"rows": [{"n": 9}]}', 1.0),
        ('{"a": 1}', "no json", 0.0),
        ("Just a sentence without a form.", "x", None),
        ("See https://example.org", "x", None),
    ],
)
def test_share_of_filled_slots(target, output, share):
    assert slot_coverage(target, output) == (None if share is None else pytest.approx(share))
