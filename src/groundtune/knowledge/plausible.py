"""How likely it is that bytes were written in an encoding: how usual the characters are that it makes of them.

Each national character set puts its everyday characters into a block of its own (level 1 of Big5, JIS X 0208 and
GB 2312). A wrong encoding gives characters from all over its table, the right one gives everyday ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

_SAMPLE = 50_000
# The most frequent characters of running text in each language.
_HANT = frozenset(
    "的一是不了人我在有他這為之大來以個中上們到說國和地也子時道出而要於就下得可你年生自會那後能對著事其裡所去行過家十用"
    "發天如然作方成者多日都三小軍二無同主經公此工業學法定第月分本高新條規應前項及由各市縣機關部長元期應請假員退貨單價"
    "電話客服保固訂購使用者程式密碼帳號銀行發票收據合約契約附件申請辦理通知紀錄會議時間地點費用金額萬千百台臺灣北南東西"
    "問題回答說明注意事項產品型號規格材料數量品名名稱姓地址女男老師學生醫院病藥食飲水火車站路街號樓室內外左右開關起終"
    "每星期週末早午晚今明昨春夏秋冬紅黃藍綠白黑小明王李張林陳黃吳劉蔡楊許鄭謝郭洪邱曾廖賴徐周葉蘇莊呂江何蕭羅"
    "計算機網路伺服器資料庫安裝設定更新版錯誤訊息連線儲存檔案夾列印輸入結果狀態管理系統功能選擇確認取消刪除新增修改查詢"
)
_HANS = frozenset(
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过家十用"
    "发天如然作方成者多日都三小军二无同主经公此工业学法定第月分本高新条规应前项及由各市县机关部长元期请假员退货单价"
    "电话客服保修订购使用程序密码账号银行发票收据合同协议附件申请办理通知纪要会议时间地点费用金额万千百台北南东西"
    "问题回答说明注意事项产品型号规格材料数量品名称姓址女男老师学生医院病药食饮水火车站路街号楼室内外左右开关起终"
    "每星期周末早午晚今明昨春夏秋冬红黄蓝绿白黑王李张林陈吴刘蔡杨许郑谢郭洪曾徐叶苏何罗"
    "计算机网络服务器数据库安装设置更新版错误信息连接保存文件夹打印输入结果状态管理系统功能选择确认取消删除增加修改查询须附"
)
_KANJI = frozenset(
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選"
    "立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小"
    "七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書府活原"
    "先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品昨論計死"
    "官増係感特情投示変打男基私各始島直両朝革価式確村提運終挙果西勢減台広容必応演電歳住争談能無再位置企真流格有疑口過局"
    "少放税検藤町常校料沢裁状工建語球営空職証土与急止送援供可役構木割聞身費付施切由説転食比難防補車優夫研収断井何南石足"
    "違消境神番規術護展態導鮮備宅害配副算視条幹独警宮究育席輸訪楽起万着乗店述残想線率病農州武声質念待試族象銀域助労例衛"
    "然早張映限親額監環験追審商葉義伝働形景落欧担好退準賀訴辺造英被株頭技低毎医復仕去姿味負閣韓渡失移差衆個門写評課末守"
    "若脳極種美岡影命含福蔵量望松非撃佐核観察整段横融型白深字答夜製票況音申様財港識注呼渉達休暇給録氏住所電郵便箱棚型番"
)
_PUNCTUATION = frozenset("，。、；：？！「」『』（）《》〈〉【】…—・ー\u3000％／“”‘’～＃＄＋－＝")
_WESTERN_MARKS = frozenset("’‘“”–—…•€£§©®°·«»×÷±½²³µ›‹„™¿¡ºª")
# One wide character inside of a Latin word: what a dash or an accent becomes together with the letter after it.
_RUN = re.compile(r"(?P<before>[A-Za-z]?)(?P<run>[^\x00-\x7f]+)(?=(?P<after>[A-Za-z]?))")
_STRAY = 0.3
_LANGUAGE = {
    "big5hkscs": _HANT, "cp950": _HANT, "gb18030": _HANS, "cp932": _KANJI, "euc_jp": _KANJI, "cp949": frozenset[str](),
}  # fmt: skip
# Lead bytes of level 1 and of level 2 in encodings of two bytes a character.
_LEVELS = {
    "big5hkscs": ((0xA4, 0xC6), (0xC9, 0xF9)), "cp950": ((0xA4, 0xC6), (0xC9, 0xF9)),
    "gb18030": ((0xB0, 0xD7), (0xD8, 0xF7)), "cp932": ((0x88, 0x97), (0x98, 0xEA)), "euc_jp": ((0xB0, 0xCF), (0xD0, 0xF4)),
}  # fmt: skip
_JAPANESE = ("cp932", "euc_jp")


def plausibility(text: str, encoding: str = "") -> float:
    """Mean over the characters outside ASCII of how usual they are in text of that encoding, at most 1."""
    total, count = 0.0, 0
    sample = text[:_SAMPLE]
    judge = _western if encoding == "cp1252" else _usual
    for character, times in Counter(sample).items():
        if character.isascii() and (character >= " " or character in "\n\r\t\f"):
            continue
        count += times
        total += times * judge(character, encoding)
    if not count:
        return 1.0
    if encoding == "cp1252" and count > max(1, 0.3 * len(sample)):
        return 0.0  # Western text is mostly ASCII
    stray = encoding in _LANGUAGE and all(
        len(found["run"]) == 1 and found["before"] and found["after"] for found in _RUN.finditer(sample)
    )
    return total / count * (_STRAY if stray else 1.0)


@cache
def _usual(character: str, encoding: str) -> float:
    code = ord(character)
    if character in _PUNCTUATION:
        return 0.9
    if 0x3041 <= code <= 0x30FF:
        # EUC-JP and GB 2312 have kana at the same place; Chinese text has none.
        return 1.0 if encoding in _JAPANESE or encoding.startswith("utf") else 0.25
    if 0x4E00 <= code <= 0x9FFF:
        return _usual_han(character, encoding)
    if 0xAC00 <= code <= 0xD7A3:
        return _usual_hangul(character, encoding)
    if 0xFF01 <= code <= 0xFF5E:
        return 0.5
    if 0xFF61 <= code <= 0xFF9F:
        return -0.6
    if character.isascii() or unicodedata.category(character) in ("Co", "Cn", "Cc", "Cs"):
        return -1.5
    return -0.3


def _usual_han(character: str, encoding: str) -> float:
    frequent = _LANGUAGE.get(encoding)
    if frequent is None:  # Unicode: any language
        if character in _HANT or character in _HANS or character in _KANJI:
            return 1.0
        return 0.45 if _level(character, "big5hkscs") == 1 or _level(character, "cp932") == 1 else 0.1
    if character in frequent:
        return 1.0
    if encoding == "cp949":
        return -0.2
    # GB 18030 may hold Traditional Chinese outside of its levels.
    elsewhere = 0.35 if encoding == "gb18030" and character in _HANT else -0.2
    return {1: 0.45, 2: 0.05}.get(_level(character, encoding), elsewhere)


def _usual_hangul(character: str, encoding: str) -> float:
    """KS X 1001 has the syllables in use; the others take lead bytes below 0xB0."""
    if not encoding.startswith("cp949"):
        return 0.6 if encoding.startswith("utf") else -0.3
    data = character.encode(encoding)
    return 0.8 if 0xB0 <= data[0] <= 0xC8 and data[1] >= 0xA1 else -0.6


def _level(character: str, encoding: str) -> int:
    """1 or 2, 0 for a character outside of both levels."""
    try:
        data = character.encode(encoding)
    except UnicodeEncodeError:
        return 0
    if len(data) != 2 or (encoding == "gb18030" and data[1] < 0xA1):
        return 0
    for level, (first, last) in enumerate(_LEVELS[encoding], start=1):
        if first <= data[0] <= last:
            return level
    return 0


def _western(character: str, encoding: str) -> float:
    if character in _WESTERN_MARKS or (character.isalpha() and ord(character) < 0x180):
        return 0.75
    return -1.5 if unicodedata.category(character) == "Cc" else 0.0
